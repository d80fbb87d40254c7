//! What the pods of a deployment take over from the profiling Job of the same request.

use dgdr_types::ResolvedRequest;
use serde_json::Value;

/// What all pods share.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// Taints that they tolerate.
    pub tolerations: Vec<Value>,
    /// Secrets that their images are pulled with.
    pub image_pull_secrets: Vec<String>,
    /// What the user may have meant for them, and does not reach them.
    pub warnings: Vec<String>,
}

/// Settings that bind the Job to nodes. It needs no GPU, so it may well be kept off the nodes that its result needs:
/// they are not handed on.
const BINDING: [&str; 5] = [
    "affinity",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "topologySpreadConstraints",
];

/// Where profiling may run, what it finds must run too: taints are tolerated and images pulled alike.
///
/// The operator finds secrets that match an image's registry by itself, `nvcr-imagepullsecret` among them; only those
/// that the user names are written out.
pub(super) fn placement(request: &ResolvedRequest) -> Placement {
    let job = request.overrides.profiling_job.as_ref();
    let Some(pod) = job
        .and_then(|job| job.get("template")?.get("spec")?.as_object())
        .filter(|pod| !pod.is_empty())
    else {
        return Placement::default();
    };
    let items = |name: &str| pod.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut image_pull_secrets: Vec<String> = Vec::new();
    for secret in items("imagePullSecrets") {
        let name = secret.get("name").and_then(Value::as_str);
        if let Some(name) = name.filter(|name| image_pull_secrets.iter().all(|known| known != name)) {
            image_pull_secrets.push(name.to_owned());
        }
    }
    Placement {
        tolerations: items("tolerations").cloned().collect(),
        image_pull_secrets,
        warnings: BINDING
            .iter()
            .filter(|name| pod.contains_key(**name))
            .map(|name| {
                format!(
                    "spec.overrides.profilingJob.template.spec.{name}: places the profiling Job only; to place the \
                     deployment too, set it in spec.overrides.dgd"
                )
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use dgdr_types::{parse_request, resolve};
    use serde_json::json;

    use super::{Placement, placement};

    fn of(pod: &str) -> Placement {
        let text = format!("model: m\noverrides: {{profilingJob: {{template: {{spec: {{{pod}}}}}}}}}\n");
        placement(&resolve(&parse_request(&text).unwrap()).unwrap())
    }

    #[test]
    fn what_lets_profiling_run_lets_its_result_run() {
        let taken = of("containers: [], tolerations: [{key: gpu, operator: Exists}], \
             imagePullSecrets: [{name: nvcr-imagepullsecret}, {name: mirror}, {name: mirror}]");
        assert_eq!(taken.tolerations, [json!({"key": "gpu", "operator": "Exists"})]);
        assert_eq!(taken.image_pull_secrets, ["nvcr-imagepullsecret", "mirror"]);
        assert_eq!(taken.warnings, Vec::<String>::new());
    }

    #[test]
    fn what_binds_the_job_to_nodes_is_not_handed_on_silently() {
        let taken = of("nodeSelector: {pool: cpu}, affinity: {}");
        assert!(taken.tolerations.is_empty() && taken.image_pull_secrets.is_empty());
        let paths: Vec<&str> = taken
            .warnings
            .iter()
            .filter_map(|warning| warning.split_once(": ").map(|(path, _)| path))
            .collect();
        assert_eq!(
            paths,
            [
                "spec.overrides.profilingJob.template.spec.affinity",
                "spec.overrides.profilingJob.template.spec.nodeSelector"
            ]
        );
    }
}
