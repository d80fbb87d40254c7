//! The custom resources that a test cluster knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::Value;

use crate::workspace;

/// Whose definitions of DGDRs and DGDs are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CrdSet {
    /// Our DGDR, and a DGD of both versions
    Ours,
    /// Upstream's of May 2026: DGD v1beta1 beside v1alpha1
    UpstreamMay,
    /// Upstream's release 1.0: DGD v1alpha1 only
    UpstreamV1,
    /// None
    None,
}

const DGDR: &str = "nvidia.com_dynamographdeploymentrequests.yaml";
const DGD: &str = "nvidia.com_dynamographdeployments.yaml";
/// A DGD that keeps any field, for where upstream's is missing.
const PLAIN_DGD: &str = include_str!("testing/dynamographdeployments.yaml");
const MAY: &str = "main-2026-05-06";
const V1: &str = "v1.0.0";
/// The newest version of deployments.
const NEWEST: &str = "v1beta1";
const OWNER: &str = "dgdr-test-cluster";
/// How long the API server may take to serve a new kind.
const MOST_FOR_ESTABLISHED: Duration = Duration::from_secs(30);

impl CrdSet {
    /// The definitions' texts.
    fn texts(self) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::Ours => {
                let dgd = upstreams(MAY, DGD);
                vec![
                    read(&workspace::root().join("deploy/crds").join(DGDR))?,
                    if dgd.is_file() {
                        read(&dgd)?
                    } else {
                        PLAIN_DGD.to_owned()
                    },
                ]
            }
            Self::UpstreamMay => vec![read(&upstreams(MAY, DGDR))?, read(&upstreams(MAY, DGD))?],
            Self::UpstreamV1 => vec![read(&upstreams(V1, DGDR))?, read(&upstreams(V1, DGD))?],
            Self::None => Vec::new(),
        })
    }
}

/// Upstream's definitions lie beside the checkout, where there are any.
fn upstreams(age: &str, name: &str) -> PathBuf {
    workspace::root().join("../shared/crds").join(age).join(name)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Applies the definitions and waits until they are served.
pub(crate) async fn install(client: &kube::Client, set: CrdSet) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut names = Vec::new();
    for text in set.texts()? {
        let mut definition: Value = serde_saphyr::from_str(&text).context("a CRD is not YAML")?;
        let name = definition["metadata"]["name"]
            .as_str()
            .context("a CRD has no name")?
            .to_owned();
        store_newest(&mut definition);
        // Server-side: they are larger than an annotation may be.
        api.patch(
            &name,
            &PatchParams::apply(OWNER).force(),
            &Patch::Apply(&definition),
        )
        .await
        .with_context(|| format!("cannot install {name}"))?;
        names.push(name);
    }
    for name in names {
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(MOST_FOR_ESTABLISHED, established)
            .await
            .with_context(|| format!("{name} is not established"))??;
    }
    Ok(())
}

/// Upstream stores deployments as v1alpha1 and converts by a webhook. Without one the API server drops what the stored
/// version does not know, so here the version in which deployments are written is also the one that is stored.
fn store_newest(definition: &mut Value) {
    if definition["spec"]["names"]["kind"] != "DynamoGraphDeployment" {
        return;
    }
    let Some(versions) = definition["spec"]["versions"].as_array_mut() else {
        return;
    };
    if versions.iter().any(|version| version["name"] == NEWEST) {
        for version in versions {
            version["storage"] = Value::Bool(version["name"] == NEWEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deployments_are_stored_as_they_are_written() {
        let definition = |versions: &[&str]| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|name| json!({ "name": name, "storage": *name == "v1alpha1" }))
                .collect();
            let mut definition =
                json!({ "spec": { "names": { "kind": "DynamoGraphDeployment" }, "versions": versions } });
            store_newest(&mut definition);
            definition["spec"]["versions"].take()
        };
        let both = definition(&["v1alpha1", "v1beta1"]);
        assert_eq!(
            (&both[0]["storage"], &both[1]["storage"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(definition(&["v1alpha1"])[0]["storage"], true);
    }

    #[test]
    fn our_definitions_need_nothing_beside_the_checkout() {
        let definition: Value = serde_saphyr::from_str(PLAIN_DGD).unwrap();
        assert_eq!(
            definition["metadata"]["name"],
            "dynamographdeployments.nvidia.com"
        );
        assert_eq!(
            definition["spec"]["versions"][1]["subresources"],
            json!({ "status": {} })
        );
        assert_eq!(CrdSet::Ours.texts().unwrap().len(), 2);
    }
}
