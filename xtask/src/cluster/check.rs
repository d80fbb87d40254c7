//! `cargo xtask cluster check`: the test cluster itself is tested, on a cluster of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::runtime::conditions::is_job_completed;
use kube::runtime::wait::{Condition, await_condition, conditions};
use nix::sys::signal::Signal;
use serde_json::json;

use super::crds::CrdSet;
use super::kubelet::images::{Image, Images};
use super::nodes::NodeGroup;
use super::part::Part;
use super::stand_ins::{Casting, StandIns};
use super::test_cluster::{ServiceAccountName, TestCluster, Wishes, take_down};
use crate::suite::report::say;

const OBJECTS: &str = include_str!("testing/check.yaml");
const NAMESPACE: &str = "check";
const OWNER: &str = "dgdr-test-check";
/// How long anything may take here.
const MOST: Duration = Duration::from_secs(30);

/// How long the process that a container leaves behind would sleep; nobody else sleeps so long.
const LEFT_BEHIND: &str = "1234567";

/// What the checks work with.
struct Bench {
    cluster: TestCluster,
    client: kube::Client,
    pods: Api<Pod>,
}

/// Runs all checks on a cluster at `root`, which is removed after; a failed one leaves the cluster for a look.
pub(super) async fn run(root: &Path) -> anyhow::Result<()> {
    take_down(root)?;
    let started = Instant::now();
    let nodes: Vec<NodeGroup> = vec!["h100:2".parse()?, "l40s".parse()?];
    let casting = Casting {
        nodes: nodes.iter().flat_map(NodeGroup::names).collect(),
        images: Images(vec![Image {
            prefix: "busybox".to_owned(),
            ..Image::default()
        }]),
    };
    let wishes = Wishes {
        nodes,
        crds: CrdSet::Ours,
    };
    let cluster = TestCluster::start(root, &wishes).await?;
    ensure!(cluster.is_ours(), "a given cluster is not ours to check");
    passed("the control plane answers", started)?;
    let client = cluster.client().await?;
    let stand_ins = StandIns::start(cluster.folder(), casting).await?;
    let bench = Bench {
        pods: Api::namespaced(client.clone(), NAMESPACE),
        client,
        cluster,
    };
    bench.apply_all().await?;
    bench.nodes_are_there().await?;
    bench.a_job_runs().await?;
    bench.troubles_are_told().await?;
    bench.deployments_get_their_state().await?;
    bench.accounts_get_tokens().await?;
    bench.a_stubborn_pod_ends().await?;
    bench.crashes_are_survived().await?;
    drop(stand_ins);
    take_down(root)
}

fn passed(what: &str, started: Instant) -> anyhow::Result<()> {
    say(&format!(
        "passed  {what} ({:.1} s)",
        started.elapsed().as_secs_f64()
    ))
}

impl Bench {
    async fn apply_all(&self) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        namespaces
            .patch(NAMESPACE, &PatchParams::apply(OWNER), &Patch::Apply(&namespace))
            .await?;
        for text in OBJECTS.split("\n---\n") {
            let object: DynamicObject = serde_saphyr::from_str(text)?;
            let TypeMeta { api_version, kind } = object.types.clone().context("an object has no kind")?;
            let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
            let name = object.name_any();
            api.patch(&name, &PatchParams::apply(OWNER), &Patch::Apply(&object))
                .await
                .with_context(|| format!("cannot apply {kind} {name}"))?;
        }
        Ok(())
    }

    /// Waits until a pod is as it should be.
    async fn wait_for_pod(&self, name: &str, condition: impl Condition<Pod>) -> anyhow::Result<Pod> {
        let waiting = await_condition(self.pods.clone(), name, condition);
        let pod = tokio::time::timeout(MOST, waiting)
            .await
            .with_context(|| format!("pod {name} did not become what it should"))??;
        pod.with_context(|| format!("pod {name} is gone"))
    }

    async fn nodes_are_there(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let nodes: Api<Node> = Api::all(self.client.clone());
        let names: Vec<String> = nodes
            .list(&ListParams::default().labels("nvidia.com/gpu.present=true"))
            .await?
            .iter()
            .map(Node::name_any)
            .collect();
        ensure!(names == ["h100-0", "h100-1", "l40s-0"], "nodes are {names:?}");
        passed("GPU nodes are there", started)
    }

    async fn a_job_runs(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), NAMESPACE);
        let waiting = await_condition(jobs, "shaped-as-profiling", is_job_completed());
        tokio::time::timeout(MOST, waiting)
            .await
            .context("the Job did not complete")??;
        let pods = self
            .pods
            .list(&ListParams::default().labels("job-name=shaped-as-profiling"))
            .await?;
        let pod = pods.items.first().context("the Job has no pod")?;
        let log = self.log(&pod.name_any(), "profiler").await?;
        ensure!(log == "hello\n", "the profiler's log is {log:?}");
        let words = ends(pod).find_map(|(name, end)| (name == "sidecar").then_some(end.message));
        ensure!(
            words == Some(Some(NAMESPACE.to_owned())),
            "the sidecar's last words are {words:?}"
        );
        let kept = self.cluster.folder().volumes().join("check_disk/file");
        ensure!(kept.is_file(), "{} is missing", kept.display());
        passed(
            "a Job with volumes, variables and a token runs to its end, and its log is served",
            started,
        )
    }

    async fn log(&self, pod: &str, container: &str) -> anyhow::Result<String> {
        let params = LogParams {
            container: Some(container.to_owned()),
            ..LogParams::default()
        };
        Ok(self.pods.logs(pod, &params).await?)
    }

    async fn troubles_are_told(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        for (pod, reason) in [
            ("without-image", "ImagePullBackOff"),
            ("without-secret", "CreateContainerConfigError"),
        ] {
            self.wait_for_pod(pod, move |pod: Option<&Pod>| {
                pod.is_some_and(|pod| waiting_reasons(pod).any(|found| found == reason))
            })
            .await?;
        }
        for (pod, reason, exit_code) in [
            ("thirsty", "OOMKilled", 137),
            ("without-program", "StartError", 128),
            ("leaving", "Error", 3),
        ] {
            let ended = self
                .wait_for_pod(pod, |pod: Option<&Pod>| {
                    pod.is_some_and(|pod| ends(pod).next().is_some())
                })
                .await?;
            let end = ends(&ended).next().map(|(_, end)| (end.reason, end.exit_code));
            ensure!(
                end == Some((Some(reason.to_owned()), exit_code)),
                "{pod} ended with {end:?}"
            );
        }
        ensure!(!runs_anywhere(LEFT_BEHIND), "a process outlives its container");
        passed("images, secrets, programs and memory are missed", started)
    }

    async fn deployments_get_their_state(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let kind = GroupVersionKind::gvk("nvidia.com", "v1beta1", "DynamoGraphDeployment");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind));
        for state in ["successful", "failed"] {
            let wish = json!({ "metadata": { "annotations": { "test.dgdr/state": state } } });
            api.patch("graph", &PatchParams::default(), &Patch::Merge(&wish))
                .await?;
            let is_there = move |graph: Option<&DynamicObject>| {
                graph.is_some_and(|graph| graph.data["status"]["state"] == state)
            };
            tokio::time::timeout(MOST, await_condition(api.clone(), "graph", is_there))
                .await
                .with_context(|| format!("the deployment is not {state}"))??;
        }
        passed("a deployment gets the state that is wished for", started)
    }

    async fn accounts_get_tokens(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let account = ServiceAccountName {
            namespace: NAMESPACE,
            name: "default",
        };
        let path = self.cluster.service_account_kubeconfig(account).await?;
        let client = super::kubeconfig::client(&path).await?;
        let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
        let refusal = pods.list(&ListParams::default()).await.err();
        ensure!(
            matches!(&refusal, Some(kube::Error::Api(status)) if status.code == 403),
            "an account without roles is told {refusal:?}"
        );
        passed("an account is who its token says, and may do nothing", started)
    }

    async fn a_stubborn_pod_ends(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let pod = self
            .wait_for_pod("stubborn", conditions::is_pod_running())
            .await?;
        self.pods.delete("stubborn", &DeleteParams::default()).await?;
        let uid = pod.uid().unwrap_or_default();
        let gone = conditions::is_deleted(&uid);
        tokio::time::timeout(MOST, await_condition(self.pods.clone(), "stubborn", gone))
            .await
            .context("the stubborn pod is still there")??;
        passed("a pod that does not mind SIGTERM is killed", started)
    }

    async fn crashes_are_survived(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        self.cluster.end(Part::ApiServer, Signal::SIGKILL)?;
        self.cluster.end(Part::Etcd, Signal::SIGKILL)?;
        self.cluster.resume(Part::Etcd).await?;
        self.cluster.resume(Part::ApiServer).await?;
        self.cluster.end(Part::Scheduler, Signal::SIGTERM)?;
        self.cluster.resume(Part::Scheduler).await?;
        self.wait_for_pod("lasting", |pod: Option<&Pod>| {
            pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Succeeded")
        })
        .await?;
        let log = self.log("lasting", "main").await?;
        ensure!(log == "lasted\n", "the lasting pod's log is {log:?}");
        passed(
            "etcd and API server crash, and a pod that ran then still ends well",
            started,
        )
    }
}

fn waiting_reasons(pod: &Pod) -> impl Iterator<Item = &str> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref())
}

fn ends(pod: &Pod) -> impl Iterator<Item = (&str, k8s_openapi::api::core::v1::ContainerStateTerminated)> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.filter_map(|status| {
        let end = status.state.as_ref()?.terminated.clone()?;
        Some((status.name.as_str(), end))
    })
}

/// Whether a process has the word in its command line.
fn runs_anywhere(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|byte| *byte == 0)
                .any(|found| found == word.as_bytes())
        })
}
