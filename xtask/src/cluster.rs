//! `cargo xtask cluster`: a real Kubernetes control plane on loopback, with stand-ins for GPU nodes.
//!
//! etcd, API server, controller manager and scheduler are the real ones. What only a machine room has is stood in for:
//! nodes are objects.

use std::path::PathBuf;
use std::time::Instant;

use crate::suite::report::say;
use crate::workspace::Metadata;

mod binaries;
mod certificates;
mod crds;
mod folder;
mod kubeconfig;
mod nodes;
mod part;
mod test_cluster;

use crds::CrdSet;
use nodes::NodeGroup;
use test_cluster::{TestCluster, Wishes};

/// The process of all stand-ins.
const STAND_INS: &str = "stand-ins";

/// Arguments of `cargo xtask cluster`.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start what does not run yet, and print where the kubeconfig is
    Up(UpArgs),
    /// End everything and remove the folder
    Down(PlaceArgs),
}

#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// The cluster's folder; by default one below the build directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// GPU nodes, as kind:nodes or kindxGPUs:nodes
    #[arg(
        long,
        value_name = "KIND:N",
        value_delimiter = ',',
        default_value = "h100:2,h200:2"
    )]
    nodes: Vec<NodeGroup>,
    /// Whose custom resource definitions are installed
    #[arg(long, value_enum, default_value = "ours")]
    crds: CrdSet,
}

impl PlaceArgs {
    fn folder(&self) -> anyhow::Result<PathBuf> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(Metadata::read()?.target_directory.join("test-cluster")),
        }
    }
}

/// Does what is asked for.
pub(crate) fn run(args: &ClusterArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    match &args.action {
        Action::Up(args) => runtime.block_on(up(args)),
        Action::Down(place) => test_cluster::take_down(&place.folder()?),
    }
}

async fn up(args: &UpArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let wishes = Wishes {
        nodes: args.nodes.clone(),
        crds: args.crds,
    };
    let cluster = TestCluster::start(&args.place.folder()?, &wishes).await?;
    say(&format!("ready after {:.1} s", started.elapsed().as_secs_f64()))?;
    say(&format!(
        "export KUBECONFIG={}",
        cluster.admin_kubeconfig().display()
    ))
}
