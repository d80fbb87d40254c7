//! What every check works with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cluster::crds::CrdSet;
use crate::cluster::kubelet::images::{Image, Images};
use crate::cluster::nodes::NodeGroup;
use crate::cluster::stand_ins::{Casting, StandIns};
use crate::cluster::test_cluster::{TestCluster, Wishes, take_down};

use super::audit::Audit;
use super::kubectl::Kubectl;
use super::manifests::{self, Install};

/// What all clusters of a run share.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// Where our programs are.
    pub(super) programs: PathBuf,
    /// Where clusters are.
    pub(super) root: PathBuf,
    /// What is drawn is drawn from this.
    pub(super) seed: u64,
    /// How many requests a load has.
    pub(super) load: usize,
}

/// What a cluster is to have.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// GPU nodes, as `cargo xtask cluster up --nodes` takes them.
    pub(super) nodes: Vec<&'static str>,
    /// Whose custom resources.
    pub(super) crds: CrdSet,
    /// Images beside ours.
    pub(super) images: Vec<Image>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: vec!["h100:2", "h200:2"],
            crds: CrdSet::Ours,
            images: Vec::new(),
        }
    }
}

/// A cluster with identities and roles of the operator, but no operator.
pub(super) struct Bench {
    /// Its control plane.
    pub(super) cluster: TestCluster,
    /// One who may do everything.
    pub(super) client: kube::Client,
    /// The same, at the command line.
    pub(super) kubectl: Kubectl,
    /// Who the operator is.
    pub(super) operator_kubeconfig: PathBuf,
    /// Where our programs are.
    pub(super) programs: PathBuf,
    /// What all clusters of this run share.
    pub(super) ground: Ground,
    audit: Audit,
    folder: PathBuf,
    stand_ins: StandIns,
}

impl Bench {
    /// Starts a cluster of that name anew.
    pub(super) async fn start(ground: &Ground, name: &str, plan: Plan) -> anyhow::Result<Self> {
        let folder = ground.root.join(name);
        let root = folder.join("cluster");
        take_down(&root)?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let nodes = plan
            .nodes
            .iter()
            .map(|group| group.parse())
            .collect::<anyhow::Result<Vec<NodeGroup>>>()?;
        let casting = Casting {
            nodes: nodes.iter().flat_map(NodeGroup::names).collect(),
            images: images(&ground.programs, plan.images),
        };
        let wishes = Wishes {
            nodes,
            crds: plan.crds,
        };
        let cluster = TestCluster::start(&root, &wishes).await?;
        let client = cluster.client().await?;
        let stand_ins = StandIns::start(cluster.folder(), casting).await?;
        manifests::install(&client, Install::Cluster).await?;
        Ok(Self {
            operator_kubeconfig: cluster.service_account_kubeconfig(manifests::OPERATOR).await?,
            kubectl: Kubectl::new(cluster.admin_kubeconfig().to_owned(), folder.join("kubectl")),
            audit: Audit::at(cluster.folder().root().join("audit.log")),
            programs: ground.programs.clone(),
            ground: ground.clone(),
            cluster,
            client,
            folder,
            stand_ins,
        })
    }

    /// Where logs go.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the API server wrote down.
    pub(super) const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Ends everything.
    pub(super) fn end(self) -> anyhow::Result<()> {
        drop(self.stand_ins);
        take_down(self.cluster.folder().root())
    }

    /// Lets the control plane run on.
    pub(super) fn leave(self) {
        drop(self.stand_ins);
    }
}

/// Every image of ours and upstream's holds our programs.
fn images(programs: &Path, others: Vec<Image>) -> Images {
    let ours: BTreeMap<String, PathBuf> = ["dgdr-operator", "dgdr-profiler"]
        .into_iter()
        .map(|name| (name.to_owned(), programs.join(name)))
        .collect();
    let image = |prefix: &str| Image {
        prefix: prefix.to_owned(),
        entrypoint: Vec::new(),
        programs: ours.clone(),
    };
    let all = ["dgdr-", "nvcr.io/nvidia/", "docker.io/library/", "busybox"].map(image);
    Images(all.into_iter().chain(others).collect())
}
