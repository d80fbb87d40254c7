//! `cargo xtask cluster`: a real Kubernetes control plane on loopback, with stand-ins for what only a machine room has.
//!
//! etcd, API server, controller manager and scheduler are the real ones. GPU nodes are objects, their kubelet runs pods as
//! processes of this machine, disks are folders, and deployments get the state that a test wants.
//!
//! Annotations wish what only bad luck brings elsewhere: on pods `test.dgdr/oom` names the container that runs out of memory;
//! on claims `test.dgdr/unbound` leaves them without a volume; on deployments `test.dgdr/state` says their state, and
//! `test.dgdr/pod-image` gives them a pod of that image.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::suite::report::say;
use crate::workspace::Metadata;

mod binaries;
pub(crate) mod certificates;
mod check;
pub(crate) mod crds;
pub(crate) mod folder;
mod graph_controller;
pub(crate) mod kubeconfig;
pub(crate) mod kubelet;
pub(crate) mod nodes;
pub(crate) mod part;
pub(crate) mod stand_ins;
pub(crate) mod test_cluster;
mod volume_binder;

use crds::CrdSet;
use kubelet::images::{Image, Images};
use nodes::NodeGroup;
use part::Process;
use stand_ins::Casting;
use test_cluster::{TestCluster, Wishes};

/// The process of all stand-ins.
const STAND_INS: &str = "stand-ins";
/// Programs of ours that images hold.
const PROGRAMS: [&str; 2] = ["dgdr-operator", "dgdr-profiler"];

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
    /// Build the control plane, unless it was built before, and stop
    Build,
    /// Check the test cluster itself, on one of its own
    Check,
    /// Run pods (`up` starts this by itself)
    #[command(hide = true)]
    StandIns(PlaceArgs),
    /// Become a container (a kubelet's business)
    #[command(hide = true)]
    Container {
        /// What the kubelet wrote of it
        description: PathBuf,
    },
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
    /// What the names of images that can be pulled begin with; they hold our programs and this machine's
    #[arg(
        long,
        value_name = "PREFIX",
        value_delimiter = ',',
        default_value = "nvcr.io/nvidia/,dgdr-,busybox"
    )]
    images: Vec<String>,
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
    // Before there are threads: a process that has some cannot leave all its namespaces.
    if let Action::Container { description } = &args.action {
        return Err(kubelet::container_root::enter(description));
    }
    let runtime = tokio::runtime::Runtime::new()?;
    match &args.action {
        Action::Up(args) => runtime.block_on(up(args)),
        Action::Down(place) => test_cluster::take_down(&place.folder()?),
        Action::Build => binaries::Binaries::find().map(drop),
        Action::Check => {
            let root = Metadata::read()?.target_directory.join("test-cluster-check");
            runtime.block_on(check::run(&root))
        }
        Action::StandIns(place) => runtime.block_on(stand_ins::run(&place.folder()?)),
        Action::Container { .. } => Ok(()),
    }
}

async fn up(args: &UpArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let wishes = Wishes {
        nodes: args.nodes.clone(),
        crds: args.crds,
    };
    let cluster = TestCluster::start(&args.place.folder()?, &wishes).await?;
    if cluster.is_ours() {
        let casting = Casting {
            nodes: args.nodes.iter().flat_map(NodeGroup::names).collect(),
            images: images(&args.images, &Metadata::read()?.target_directory.join("debug")),
        };
        start_stand_ins(&cluster, &casting)?;
        say(&format!(
            "logs and volumes of pods: {}",
            cluster.folder().pods().display()
        ))?;
    }
    say(&format!("ready after {:.1} s", started.elapsed().as_secs_f64()))?;
    say(&format!(
        "export KUBECONFIG={}",
        cluster.admin_kubeconfig().display()
    ))
}

/// Images that hold our programs as they were built last.
fn images(prefixes: &[String], programs: &Path) -> Images {
    let programs: BTreeMap<String, PathBuf> = PROGRAMS
        .iter()
        .map(|name| ((*name).to_owned(), programs.join(name)))
        .collect();
    let image = |prefix: &String| Image {
        prefix: prefix.clone(),
        entrypoint: Vec::new(),
        programs: programs.clone(),
    };
    Images(prefixes.iter().map(image).collect())
}

/// Starts the process of the stand-ins, anew when it has other things to do than before.
fn start_stand_ins(cluster: &TestCluster, casting: &Casting) -> anyhow::Result<()> {
    let folder = cluster.folder();
    let process = Process::of(folder, STAND_INS);
    if casting.write(folder)? {
        process.end(Signal::SIGTERM)?;
    }
    if process.pid().is_some() {
        return Ok(());
    }
    let arguments: Vec<OsString> = vec![
        "cluster".into(),
        "stand-ins".into(),
        "--dir".into(),
        folder.root().into(),
    ];
    process.start(&std::env::current_exe()?, &arguments)
}
