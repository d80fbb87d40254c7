//! GPU nodes that are only objects: what the device plugin and GPU feature discovery would write of real ones.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

/// A kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hardware {
    /// As it is asked for.
    name: &'static str,
    /// As GPU feature discovery labels it.
    product: &'static str,
    /// GPUs of a usual node.
    gpus: u32,
    /// Memory of one, as the driver counts it.
    memory_mib: u32,
    family: &'static str,
}

const HARDWARE: [Hardware; 7] = [
    Hardware {
        name: "h100",
        product: "NVIDIA-H100-80GB-HBM3",
        gpus: 8,
        memory_mib: 81_559,
        family: "hopper",
    },
    Hardware {
        name: "h200",
        product: "NVIDIA-H200",
        gpus: 8,
        memory_mib: 143_771,
        family: "hopper",
    },
    Hardware {
        name: "b200",
        product: "NVIDIA-B200",
        gpus: 8,
        memory_mib: 183_359,
        family: "blackwell",
    },
    Hardware {
        name: "gb200",
        product: "NVIDIA-GB200",
        gpus: 4,
        memory_mib: 189_471,
        family: "blackwell",
    },
    Hardware {
        name: "a100",
        product: "NVIDIA-A100-SXM4-80GB",
        gpus: 8,
        memory_mib: 81_920,
        family: "ampere",
    },
    Hardware {
        name: "l40s",
        product: "NVIDIA-L40S",
        gpus: 4,
        memory_mib: 46_068,
        family: "ada-lovelace",
    },
    Hardware {
        name: "cpu",
        product: "",
        gpus: 0,
        memory_mib: 0,
        family: "",
    },
];

/// Some nodes of a kind, such as `h100:2` or, with other than the usual number of GPUs each, `h100x4:2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeGroup {
    hardware: Hardware,
    gpus: u32,
    nodes: u32,
}

impl FromStr for NodeGroup {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (kind, nodes) = text.split_once(':').unwrap_or((text, "1"));
        let found = |name: &str| HARDWARE.into_iter().find(|hardware| hardware.name == name);
        let (hardware, gpus) = match (found(kind), kind.rsplit_once('x')) {
            (Some(hardware), _) => (hardware, hardware.gpus),
            (None, Some((name, gpus))) => {
                let hardware = found(name).with_context(|| unknown(name))?;
                (hardware, number(gpus, text)?)
            }
            (None, None) => bail!("{}", unknown(kind)),
        };
        ensure!(
            hardware.gpus > 0 || gpus == 0,
            "{text}: nodes of kind cpu have no GPUs"
        );
        Ok(Self {
            hardware,
            gpus,
            nodes: number(nodes, text)?,
        })
    }
}

fn unknown(kind: &str) -> String {
    let known: Vec<&str> = HARDWARE.iter().map(|hardware| hardware.name).collect();
    format!(
        "no kind of node is named {kind:?}: use one of {}",
        known.join(", ")
    )
}

fn number(digits: &str, text: &str) -> anyhow::Result<u32> {
    digits
        .parse()
        .with_context(|| format!("{text}: {digits:?} is no number; write kind:nodes, such as h100:2"))
}

impl NodeGroup {
    /// The names of its nodes.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let shape = if self.gpus == self.hardware.gpus {
            self.hardware.name.to_owned()
        } else {
            format!("{}x{}", self.hardware.name, self.gpus)
        };
        (0..self.nodes).map(move |index| format!("{shape}-{index}"))
    }

    fn labels(&self, node: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            ("kubernetes.io/arch".to_owned(), "amd64".to_owned()),
            ("kubernetes.io/hostname".to_owned(), node.to_owned()),
            ("kubernetes.io/os".to_owned(), "linux".to_owned()),
        ]);
        if self.gpus > 0 {
            for (key, value) in [
                ("count", self.gpus.to_string()),
                ("family", self.hardware.family.to_owned()),
                ("memory", self.hardware.memory_mib.to_string()),
                ("present", "true".to_owned()),
                ("product", self.hardware.product.to_owned()),
            ] {
                labels.insert(format!("nvidia.com/gpu.{key}"), value);
            }
        }
        labels
    }

    fn resources(&self) -> BTreeMap<&'static str, String> {
        let mut resources = BTreeMap::from([
            ("cpu", "128".to_owned()),
            ("memory", "2Ti".to_owned()),
            ("ephemeral-storage", "4Ti".to_owned()),
            // The load test has more pods than a usual node takes.
            ("pods", "1000".to_owned()),
        ]);
        if self.gpus > 0 {
            resources.insert("nvidia.com/gpu", self.gpus.to_string());
        }
        resources
    }
}

const OWNER: &str = "dgdr-test-cluster";

/// Makes the nodes and lets them be ready. `kubelet_port` is where the logs of their pods are asked for.
pub(crate) async fn make(
    client: &kube::Client,
    groups: &[NodeGroup],
    kubelet_port: u16,
) -> anyhow::Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    for group in groups {
        for name in group.names() {
            make_one(&api, group, &name, kubelet_port)
                .await
                .with_context(|| format!("cannot make node {name}"))?;
        }
    }
    Ok(())
}

async fn make_one(api: &Api<Node>, group: &NodeGroup, name: &str, kubelet_port: u16) -> anyhow::Result<()> {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": group.labels(name) },
    });
    api.patch(name, &PatchParams::apply(OWNER).force(), &Patch::Apply(&node))
        .await?;
    let status = json!({ "status": {
        "addresses": [
            { "type": "InternalIP", "address": "127.0.0.1" },
            { "type": "Hostname", "address": name },
        ],
        "capacity": group.resources(),
        "allocatable": group.resources(),
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "the test kubelet is posting ready status",
            "lastHeartbeatTime": jiff::Timestamp::now(),
            "lastTransitionTime": jiff::Timestamp::now(),
        }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": kubelet_port } },
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "processes://1",
            "kernelVersion": "",
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.36.3",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "test",
            "systemUUID": "",
        },
    }});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    // Every new node gets the taint of one that is not ready, and nobody here takes it away.
    let spec = json!({ "spec": { "taints": null } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(&spec))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn group(text: &str) -> NodeGroup {
        text.parse().unwrap()
    }

    #[test]
    fn groups_are_read() {
        assert_eq!(group("h100:2").names().collect::<Vec<_>>(), ["h100-0", "h100-1"]);
        assert_eq!(group("h200x4").names().collect::<Vec<_>>(), ["h200x4-0"]);
        assert_eq!(group("cpu").resources().get("nvidia.com/gpu"), None);
        assert_eq!(group("gb200:1").resources()["nvidia.com/gpu"], "4");
        for wrong in ["h300:1", "h100:two", "h100x:1", "cpux8:1", ""] {
            assert!(wrong.parse::<NodeGroup>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_those_of_feature_discovery() {
        let labels = group("h100:1").labels("h100-0");
        assert_eq!(labels["nvidia.com/gpu.product"], "NVIDIA-H100-80GB-HBM3");
        assert_eq!(labels["nvidia.com/gpu.count"], "8");
        assert_eq!(labels["nvidia.com/gpu.memory"], "81559");
    }
}
