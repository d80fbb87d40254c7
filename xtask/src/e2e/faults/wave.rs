//! Many requests of all kinds at once, what must become of each, and what must be there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event as Change, watcher};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::e2e::bench::Bench;
use crate::e2e::manifests::OPERATOR_USER;
use crate::e2e::requests::{At, condition, phase};

/// How many are made at a time.
const AT_A_TIME: usize = 8;
/// How long the garbage collector may take.
const MOST_FOR_ORDER: Duration = Duration::from_secs(90);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// How often one thing may be told of one request; it is told once, unless the operator dies in between.
const MOST_TELLINGS: i32 = 3;
/// Who deploys what the operator finds.
const STRANGER: &str = "dgdr-test-stranger";

/// What a request is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Simulated by the operator, and kept for its user.
    Kept,
    /// Simulated and deployed.
    Deployed,
    /// The same, with a planner and its ConfigMaps.
    Planned,
    /// Profiled by a Job and deployed.
    ByJob,
    /// Its deployment would have a name that no deployment may have.
    Misnamed,
    /// Somebody else's deployment has its name.
    Robbed,
    /// Deleted by its user on the way.
    Cancelled,
}

/// Of fifty.
const MIX: [(Kind, usize); 7] = [
    (Kind::Kept, 16),
    (Kind::Deployed, 14),
    (Kind::Planned, 4),
    (Kind::ByJob, 4),
    (Kind::Misnamed, 4),
    (Kind::Robbed, 4),
    (Kind::Cancelled, 4),
];

impl Kind {
    /// The phase that it ends in; none where it is gone.
    const fn end(self) -> Option<&'static str> {
        match self {
            Self::Kept => Some("Ready"),
            Self::Deployed | Self::Planned | Self::ByJob => Some("Deployed"),
            Self::Misnamed | Self::Robbed => Some("Failed"),
            Self::Cancelled => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Deployed => "deployed",
            Self::Planned => "planned",
            Self::ByJob => "job",
            Self::Misnamed => "misnamed",
            Self::Robbed => "robbed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What is asked for.
    pub(super) fn spec(self) -> Value {
        let mut spec = json!({
            "model": "Qwen/Qwen3-0.6B",
            "backend": "vllm",
            "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
            "hardware": { "gpuSku": "h200_sxm", "vramMb": 144_384, "numGpusPerNode": 8, "totalGpus": 8 },
            "workload": { "isl": 3000, "osl": 150 },
            "sla": { "ttft": 200.0, "itl": 20.0 },
        });
        match self {
            Self::Kept => spec["autoApply"] = json!(false),
            Self::Planned => spec["features"] = json!({ "planner": { "enable_load_scaling": true } }),
            Self::ByJob => {
                let scratch = json!([{ "name": "scratch", "emptyDir": {} }]);
                spec["overrides"] = json!({ "profilingJob": { "template": { "spec": { "containers": [], "volumes": scratch } } } });
            }
            Self::Misnamed => {
                spec["overrides"] = json!({ "dgd": {
                    "apiVersion": "nvidia.com/v1alpha1",
                    "kind": "DynamoGraphDeployment",
                    "metadata": { "name": "no.label" },
                } });
            }
            Self::Deployed | Self::Robbed | Self::Cancelled => {}
        }
        spec
    }
}

/// Requests of one namespace.
#[derive(Debug)]
pub(super) struct Wave {
    namespace: String,
    members: BTreeMap<String, Kind>,
    audited_from: u64,
}

impl Wave {
    /// Makes fifty requests of all kinds.
    pub(super) async fn start(bench: &Bench, namespace: &str) -> anyhow::Result<Self> {
        Self::of(bench, namespace, &MIX).await
    }

    /// Makes that many requests of each kind.
    pub(super) async fn of(bench: &Bench, namespace: &str, mix: &[(Kind, usize)]) -> anyhow::Result<Self> {
        let audited_from = bench.audit().length()?;
        bench.namespace(namespace).await?;
        let members: BTreeMap<String, Kind> = mix
            .iter()
            .flat_map(|(kind, count)| (0..*count).map(|index| (format!("{}-{index}", kind.word()), *kind)))
            .collect();
        let wave = Self {
            namespace: namespace.to_owned(),
            members,
            audited_from,
        };
        for name in wave.named(Kind::Robbed) {
            wave.take_its_name(bench, name).await?;
        }
        let mut asking = FuturesUnordered::new();
        for (name, kind) in &wave.members {
            if asking.len() >= AT_A_TIME {
                asking.next().await.transpose()?;
            }
            asking.push(wave.ask(bench, name, *kind));
        }
        while let Some(asked) = asking.next().await {
            asked?;
        }
        drop(asking);
        Ok(wave)
    }

    async fn ask(&self, bench: &Bench, name: &str, kind: Kind) -> anyhow::Result<()> {
        let at = At {
            namespace: &self.namespace,
            name,
        };
        bench.ask(at, &kind.spec()).await?;
        Ok(())
    }

    /// The requests of a kind.
    fn named(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let of_kind = self.members.iter().filter(move |(_, found)| **found == kind);
        of_kind.map(|(name, _)| name.as_str())
    }

    async fn take_its_name(&self, bench: &Bench, name: &str) -> anyhow::Result<()> {
        let deployment = json!({
            "apiVersion": "nvidia.com/v1alpha1",
            "kind": "DynamoGraphDeployment",
            "metadata": { "name": format!("{name}-dgd") },
            "spec": { "services": { "Frontend": { "replicas": 1 } } },
        });
        self.deployments(bench)
            .patch(
                &format!("{name}-dgd"),
                &PatchParams::apply(STRANGER),
                &Patch::Apply(&deployment),
            )
            .await
            .context("a stranger's deployment is not taken")?;
        Ok(())
    }

    fn deployments(&self, bench: &Bench) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("nvidia.com", "v1alpha1", "DynamoGraphDeployment");
        Api::namespaced_with(
            bench.client.clone(),
            &self.namespace,
            &ApiResource::from_gvk(&kind),
        )
    }

    /// Their users delete those that are to be cancelled.
    pub(super) async fn cancel(&self, bench: &Bench) -> anyhow::Result<()> {
        let api = bench.requests(&self.namespace);
        for name in self.named(Kind::Cancelled) {
            match api.delete(name, &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until every request has ended as it should.
    pub(super) async fn settle(&self, bench: &Bench, most: Duration) -> anyhow::Result<()> {
        let mut open = BTreeMap::new();
        let Ok(settled) = tokio::time::timeout(most, self.follow(bench, &mut open)).await else {
            let first = open
                .iter()
                .next()
                .map(|(name, status)| format!("{name} first: {status}"));
            bail!(
                "after {most:?} {} of {} have not ended as they should, {}",
                open.len(),
                self.members.len(),
                first.unwrap_or_default()
            );
        };
        settled
    }

    /// Follows all requests; `open` are those that are not yet where they should be, with their status.
    async fn follow(&self, bench: &Bench, open: &mut BTreeMap<String, Value>) -> anyhow::Result<()> {
        let requests = bench.requests(&self.namespace);
        let changes = watcher(requests, watcher::Config::default()).default_backoff();
        let mut changes = std::pin::pin!(changes);
        let mut is_listed = false;
        while let Some(change) = changes.next().await {
            match change {
                Ok(Change::Init) => {
                    is_listed = false;
                    open.clear();
                    // One that is to be gone is, until it is seen.
                    let stay = self.members.iter().filter(|(_, kind)| kind.end().is_some());
                    open.extend(stay.map(|(name, _)| (name.clone(), Value::Null)));
                }
                Ok(Change::InitDone) => is_listed = true,
                Ok(Change::Apply(object) | Change::InitApply(object)) => self.see(&object, open)?,
                Ok(Change::Delete(object)) => self.miss(object.name_any(), open),
                // The API server may be down: it is looked at again when it is back.
                Err(_) => {}
            }
            if is_listed && open.is_empty() {
                return Ok(());
            }
        }
        bail!("the watch of requests ended")
    }

    fn see(&self, object: &DynamicObject, open: &mut BTreeMap<String, Value>) -> anyhow::Result<()> {
        let name = object.name_any();
        let Some(kind) = self.members.get(&name) else {
            return Ok(());
        };
        let is_there = kind.end() == Some(phase(object));
        // Nothing comes after Failed, so that need not be waited for.
        if !is_there && phase(object) == "Failed" && kind.end().is_some() {
            bail!("{name} failed: {}", condition(object, "Succeeded")["message"]);
        }
        if is_there {
            open.remove(&name);
        } else {
            open.insert(name, object.data["status"]["conditions"].clone());
        }
        Ok(())
    }

    fn miss(&self, name: String, open: &mut BTreeMap<String, Value>) {
        if self.members.get(&name).is_some_and(|kind| kind.end().is_some()) {
            open.insert(name, Value::Null);
        } else {
            open.remove(&name);
        }
    }

    /// Waits until there is what must be there, and nothing else.
    pub(super) async fn is_in_order(&self, bench: &Bench) -> anyhow::Result<String> {
        let expected = self.expected(bench).await?;
        self.until_only(bench, &expected).await?;
        self.adopted(bench).await?;
        Ok(format!("{} objects", expected.len()))
    }

    async fn until_only(&self, bench: &Bench, expected: &BTreeSet<String>) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let found = self.objects(bench).await?;
            let missing: Vec<&str> = expected.difference(&found).map(String::as_str).collect();
            let surplus: Vec<&str> = found.difference(expected).map(String::as_str).collect();
            // A deployment outlives its request, if it was made before that was deleted.
            let is_orphan = |name: &&&str| !name.starts_with("DynamoGraphDeployment cancelled-");
            if missing.is_empty() && surplus.iter().find(is_orphan).is_none() {
                return Ok(());
            }
            if started.elapsed() > MOST_FOR_ORDER {
                bail!(
                    "missing: {}; too much: {}",
                    missing.join(", "),
                    surplus.join(", ")
                );
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// All that must be there.
    async fn expected(&self, bench: &Bench) -> anyhow::Result<BTreeSet<String>> {
        let mut expected = everywhere();
        for (name, kind) in &self.members {
            if kind.end().is_none() {
                continue;
            }
            expected.insert(format!("DynamoGraphDeploymentRequest {name}"));
            if *kind != Kind::Misnamed {
                expected.insert(format!("ConfigMap dgdr-output-{name}"));
            }
            match kind {
                Kind::Deployed | Kind::Robbed => {
                    expected.insert(format!("DynamoGraphDeployment {name}-dgd"));
                }
                Kind::Planned => {
                    expected.insert(format!("DynamoGraphDeployment {name}-dgd"));
                    for map in self.generated_maps(bench, name).await? {
                        expected.insert(format!("ConfigMap {map}"));
                    }
                }
                Kind::ByJob => {
                    expected.insert(format!("DynamoGraphDeployment {name}-dgd"));
                    expected.insert(format!("Job profile-{name}"));
                    expected.insert(format!("Pod of profile-{name}: 1"));
                    expected.insert("ServiceAccount dgdr-profiling-job".to_owned());
                    expected.insert("RoleBinding dgdr-profiling-job-binding".to_owned());
                }
                Kind::Kept | Kind::Misnamed | Kind::Cancelled => {}
            }
        }
        Ok(expected)
    }

    /// The ConfigMaps that a profiler wrote beside its deployment.
    async fn generated_maps(&self, bench: &Bench, name: &str) -> anyhow::Result<Vec<String>> {
        let maps: Api<ConfigMap> = Api::namespaced(bench.client.clone(), &self.namespace);
        let output = maps.get(&format!("dgdr-output-{name}")).await?;
        let text = output.data.and_then(|mut data| data.remove("final_config.yaml"));
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text.context("an output has no result")?)?;
        let is_map = |document: &&Value| document["kind"] == "ConfigMap";
        let names = documents.iter().filter(is_map);
        Ok(names
            .filter_map(|map| map["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// Every object of the namespace that is of a kind that the operator makes.
    async fn objects(&self, bench: &Bench) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for object in bench
            .requests(&self.namespace)
            .list(&ListParams::default())
            .await?
        {
            found.insert(format!("DynamoGraphDeploymentRequest {}", object.name_any()));
        }
        for object in self.deployments(bench).list(&ListParams::default()).await? {
            found.insert(format!("DynamoGraphDeployment {}", object.name_any()));
        }
        self.add::<ConfigMap>(bench, &mut found).await?;
        self.add::<Job>(bench, &mut found).await?;
        self.add::<ServiceAccount>(bench, &mut found).await?;
        self.add::<RoleBinding>(bench, &mut found).await?;
        let pods: Api<Pod> = Api::namespaced(bench.client.clone(), &self.namespace);
        let mut of_jobs: BTreeMap<String, usize> = BTreeMap::new();
        for pod in pods.list(&ListParams::default()).await? {
            let job = pod.labels().get("batch.kubernetes.io/job-name").cloned();
            *of_jobs.entry(job.unwrap_or_default()).or_default() += 1;
        }
        let pods = of_jobs.into_iter();
        found.extend(pods.map(|(job, count)| format!("Pod of {job}: {count}")));
        Ok(found)
    }

    async fn add<K>(&self, bench: &Bench, found: &mut BTreeSet<String>) -> anyhow::Result<()>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(bench.client.clone(), &self.namespace);
        for object in api.list_metadata(&ListParams::default()).await? {
            found.insert(format!("{} {}", K::kind(&()), object.name_any()));
        }
        Ok(())
    }

    /// What deployments mount goes with them.
    async fn adopted(&self, bench: &Bench) -> anyhow::Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(bench.client.clone(), &self.namespace);
        for request in self.named(Kind::Planned) {
            for name in self.generated_maps(bench, request).await? {
                let owners: Vec<String> = maps
                    .get_metadata(&name)
                    .await?
                    .owner_references()
                    .iter()
                    .map(|owner| format!("{} {}", owner.kind, owner.name))
                    .collect();
                if owners != [format!("DynamoGraphDeployment {request}-dgd")] {
                    bail!("ConfigMap {name} belongs to {owners:?}");
                }
            }
        }
        Ok(())
    }

    /// Nothing was made a second time, and nothing was told over and over.
    pub(super) async fn is_done_once(&self, bench: &Bench) -> anyhow::Result<String> {
        const CREATED: u16 = 201;
        let place = format!("/namespaces/{}/", self.namespace);
        let mut made: BTreeMap<String, usize> = BTreeMap::new();
        for call in bench.audit().since(self.audited_from)? {
            let path = call.uri.split('?').next().unwrap_or_default().to_owned();
            // What was being written when its request was deleted is made once more, and goes once more.
            let is_ours =
                call.user.username == OPERATOR_USER && path.contains(&place) && !path.contains("-cancelled-");
            if is_ours && call.response_status.code == CREATED && !path.ends_with("/events") {
                *made.entry(path).or_default() += 1;
            }
        }
        let twice: Vec<&str> = made
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(path, _)| path.as_str())
            .collect();
        if !twice.is_empty() {
            bail!("made more than once: {}", twice.join(", "));
        }
        let most = self.most_told(bench).await?;
        if most.1 > MOST_TELLINGS {
            bail!("told {} times: {}", most.1, most.0);
        }
        Ok(format!(
            "{} made, each once; nothing told more than {} times",
            made.len(),
            most.1
        ))
    }

    /// What was told most often.
    async fn most_told(&self, bench: &Bench) -> anyhow::Result<(String, i32)> {
        let api: Api<Event> = Api::namespaced(bench.client.clone(), &self.namespace);
        let mut told: BTreeMap<String, i32> = BTreeMap::new();
        for event in api.list(&ListParams::default()).await? {
            let about = event.regarding.unwrap_or_default();
            if about.kind.as_deref() != Some("DynamoGraphDeploymentRequest") {
                continue;
            }
            let key = format!(
                "{} of {}",
                event.reason.unwrap_or_default(),
                about.name.unwrap_or_default()
            );
            *told.entry(key).or_default() += event.series.map_or(1, |series| series.count);
        }
        let most = told.into_iter().max_by_key(|(_, count)| *count);
        Ok(most.unwrap_or_default())
    }

    /// Deletes all requests: all that was made for them goes, and deployments stay.
    pub(super) async fn goes_away(&self, bench: &Bench) -> anyhow::Result<String> {
        let stays = |found: &&String| {
            found.starts_with("DynamoGraphDeployment ") || found.contains("dgdr-profiling-job")
        };
        let mut expected = everywhere();
        expected.extend(self.objects(bench).await?.iter().filter(stays).cloned());
        for name in self.named(Kind::Planned) {
            let maps = self.generated_maps(bench, name).await?;
            expected.extend(maps.into_iter().map(|map| format!("ConfigMap {map}")));
        }
        bench
            .requests(&self.namespace)
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await?;
        self.until_only(bench, &expected).await?;
        Ok(format!("{} objects stay", expected.len()))
    }
}

/// What Kubernetes itself puts into every namespace.
fn everywhere() -> BTreeSet<String> {
    ["ConfigMap kube-root-ca.crt", "ServiceAccount default"]
        .map(str::to_owned)
        .into()
}
