//! Why a pod does not run, in one sentence with what to do about it.

use dgdr_types::contract::{HF_TOKEN_SECRET, IMAGE_PULL_SECRET};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

/// Reasons of a waiting container that mean that its image cannot be had.
const IMAGE_REASONS: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ImageInspectError",
    "ErrImageNeverPull",
    "RegistryUnavailable",
];

/// Reasons of a waiting container that mean that it cannot be made or does not stay up.
const START_REASONS: [&str; 5] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "CrashLoopBackOff",
];

/// Why a container of a pod waits in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Name of the pod.
    pub pod: String,
    /// Name of the container; none where no node takes the pod.
    pub container: Option<String>,
    /// The cluster's word for it.
    pub reason: String,
    /// The cluster's sentence.
    pub message: String,
}

impl Stuck {
    /// Whether an image is the cause.
    pub fn is_image(&self) -> bool {
        IMAGE_REASONS.contains(&self.reason.as_str())
    }

    /// What stands in the way, in upstream's form.
    pub fn sentence(&self) -> String {
        let Self {
            pod,
            container,
            reason,
            message,
        } = self;
        let place = match container {
            Some(container) => format!("pod {pod} container {container}"),
            None => format!("pod {pod}"),
        };
        if message.is_empty() {
            format!("{place}: {reason}")
        } else {
            format!("{place}: {reason}: {message}")
        }
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        if self.is_image() {
            return format!(
                "check the image's name, and the secret that pulls it: kubectl create secret docker-registry \
                 {IMAGE_PULL_SECRET} --docker-server=nvcr.io --docker-username='$oauthtoken' \
                 --docker-password=<NGC_API_KEY>"
            );
        }
        match self.reason.as_str() {
            "Unschedulable" => "free what it asks for, or give \
                 spec.overrides.profilingJob.template.spec.{tolerations,nodeSelector} that fit a node"
                .to_owned(),
            "CreateContainerConfigError" => format!(
                "create the secret or ConfigMap that it names; the token of Hugging Face is {HF_TOKEN_SECRET}, key HF_TOKEN"
            ),
            _ => "look at its logs".to_owned(),
        }
    }
}

/// All containers of a pod that wait in vain, and the pod itself where no node takes it.
pub fn stuck(pod: &Pod) -> Vec<Stuck> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let unschedulable = status
        .conditions
        .iter()
        .flatten()
        .filter(|condition| {
            condition.type_ == "PodScheduled"
                && condition.status == "False"
                && condition.reason.as_deref() == Some("Unschedulable")
        })
        .map(|condition| Stuck {
            pod: name.clone(),
            container: None,
            reason: "Unschedulable".to_owned(),
            message: condition.message.clone().unwrap_or_default(),
        });
    let waiting = containers(status).filter_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.clone()?;
        let known = IMAGE_REASONS.contains(&reason.as_str()) || START_REASONS.contains(&reason.as_str());
        known.then(|| Stuck {
            pod: name.clone(),
            container: Some(container.name.clone()),
            reason,
            message: waiting.message.clone().unwrap_or_default(),
        })
    });
    unschedulable.chain(waiting).collect()
}

/// How a container of a failed pod ended, in upstream's form; none where none ended badly.
///
/// The container that does the work goes before the others; a pod that the node ended says so itself.
pub fn failure(pod: &Pod, first: &str) -> Option<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let ended = |container: &ContainerStatus| {
        let ended = container.state.as_ref()?.terminated.clone()?;
        (ended.exit_code != 0).then(|| (container.name.clone(), ended))
    };
    let worker = containers(status)
        .filter(|container| container.name == first)
        .find_map(ended);
    let found = worker.or_else(|| containers(status).find_map(ended));
    if let Some((container, ended)) = found {
        return Some(format!("Pod: {name}, Container: {container}, {}", ending(&ended)));
    }
    let reason = status.reason.as_deref()?;
    let message = status.message.as_deref().unwrap_or_default();
    Some(format!("Pod: {name}, Reason: {reason}, Message: {message}"))
}

fn ending(ended: &ContainerStateTerminated) -> String {
    let mut text = format!("ExitCode: {}", ended.exit_code);
    if let Some(reason) = ended.reason.as_deref().filter(|reason| !reason.is_empty()) {
        text = format!("{text}, Reason: {reason}");
    }
    if let Some(message) = ended.message.as_deref().filter(|message| !message.is_empty()) {
        text = format!("{text}, Message: {message}");
    }
    if ended.reason.as_deref() == Some("OOMKilled") {
        text = format!(
            "{text}: give it more memory with spec.overrides.profilingJob.template.spec.containers[profiler].resources"
        );
    }
    text
}

fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::{failure, stuck};

    fn pod(status: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    fn container(name: &str, state: &serde_json::Value) -> serde_json::Value {
        json!({"name": name, "state": state, "image": "i", "imageID": "", "ready": false, "restartCount": 0})
    }

    #[test]
    fn every_stuck_container_is_named() {
        let waits = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
        let pod = pod(&json!({
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}],
            "initContainerStatuses": [container("download", &waits("ErrImagePull", "not found"))],
            "containerStatuses": [
                container("main", &waits("ImagePullBackOff", "Back-off pulling image")),
                container("token", &waits("CreateContainerConfigError", "secret \"s\" not found")),
                container("loop", &waits("CrashLoopBackOff", "back-off 40s restarting failed container")),
                container("starting", &waits("ContainerCreating", "")),
            ],
        }));
        let text: Vec<String> = stuck(&pod)
            .iter()
            .map(|stuck| format!("{}\n    {}", stuck.sentence(), stuck.remedy()))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn a_failed_pod_says_how_its_worker_ended() {
        let ended = |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason, "message": "m"}});
        let both = pod(&json!({"phase": "Failed", "containerStatuses": [
            container("output-copier", &ended(1, "Error")), container("profiler", &ended(137, "OOMKilled"))]}));
        insta::assert_snapshot!(failure(&both, "profiler").unwrap());
        let beside = pod(&json!({"phase": "Failed", "containerStatuses": [
            container("profiler", &ended(0, "Completed")), container("output-copier", &ended(5, "Error"))]}));
        assert_eq!(
            failure(&beside, "profiler").unwrap(),
            "Pod: p, Container: output-copier, ExitCode: 5, Reason: Error, Message: m"
        );
        let evicted =
            pod(&json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}));
        assert_eq!(
            failure(&evicted, "profiler").unwrap(),
            "Pod: p, Reason: Evicted, Message: The node was low on memory."
        );
        assert_eq!(failure(&pod(&json!({"phase": "Running"})), "profiler"), None);
    }
}
