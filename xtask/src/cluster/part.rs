//! The programs of a control plane as processes: started so that they outlive xtask, and found again by pid files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::certificates;
use super::folder::Folder;

/// How long a process may take to end after it was told.
const MOST_FOR_END: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// How many of a log's last lines explain an end.
const LAST_LINES: usize = 8;

/// A part of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Keeps everything.
    Etcd,
    /// Answers everybody.
    ApiServer,
    /// Jobs, owners, namespaces, accounts.
    Controllers,
    /// Gives pods a node.
    Scheduler,
}

/// What the controller manager runs: the rest would look for a cloud, a network or disks.
const CONTROLLERS: [&str; 10] = [
    "job-controller",
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "namespace-controller",
    "persistentvolumeclaim-protection-controller",
    "ttl-after-finished-controller",
    "root-ca-certificate-publisher-controller",
];

impl Part {
    /// In the order in which they start.
    pub(crate) const ALL: [Self; 4] = [Self::Etcd, Self::ApiServer, Self::Controllers, Self::Scheduler];

    /// The name of its program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::Controllers => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
        }
    }

    /// Where it listens.
    pub(crate) const fn port(self, folder: &Folder) -> u16 {
        let ports = folder.ports();
        match self {
            Self::Etcd => ports.etcd,
            Self::ApiServer => ports.api_server,
            Self::Controllers => ports.controllers,
            Self::Scheduler => ports.scheduler,
        }
    }

    /// Its flags; each part has one that names the folder, by which its process is known again.
    pub(crate) fn arguments(self, folder: &Folder) -> Vec<OsString> {
        let flags = match self {
            Self::Etcd => etcd(folder),
            Self::ApiServer => api_server(folder),
            Self::Controllers => controllers(folder),
            Self::Scheduler => scheduler(folder),
        };
        flags.into_iter().map(OsString::from).collect()
    }
}

fn etcd(folder: &Folder) -> Vec<String> {
    let clients = format!("http://127.0.0.1:{}", folder.ports().etcd);
    let peers = format!("http://127.0.0.1:{}", folder.ports().etcd_peer);
    vec![
        // Nobody's data: a crash of the machine may lose it.
        "--unsafe-no-fsync".to_owned(),
        // Thousands of requests with all their versions are more than the usual 2 GiB.
        "--quota-backend-bytes=8589934592".to_owned(),
        format!("--data-dir={}", folder.root().join("etcd").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
    ]
}

fn api_server(folder: &Folder) -> Vec<String> {
    let certificate = |owner| folder.certificate(owner).display().to_string();
    let key = |owner| folder.key(owner).display().to_string();
    let root = folder.root().display();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", folder.ports().etcd),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", folder.ports().api_server),
        format!("--tls-cert-file={}", certificate(certificates::API_SERVER)),
        format!("--tls-private-key-file={}", key(certificates::API_SERVER)),
        format!("--client-ca-file={}", certificate(certificates::CA)),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-key-file={}",
            certificate(certificates::SERVICE_ACCOUNTS)
        ),
        format!(
            "--service-account-signing-key-file={}",
            key(certificates::SERVICE_ACCOUNTS)
        ),
        "--service-account-extend-token-expiration=false".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
        // The default wants an address that is not loopback.
        "--endpoint-reconciler-type=none".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!(
            "--kubelet-certificate-authority={}",
            certificate(certificates::CA)
        ),
        format!(
            "--kubelet-client-certificate={}",
            certificate(certificates::KUBELET_CLIENT)
        ),
        format!("--kubelet-client-key={}", key(certificates::KUBELET_CLIENT)),
        format!("--audit-policy-file={root}/audit-policy.json"),
        format!("--audit-log-path={root}/audit.log"),
        // One file, so that it is read as it is: it would be begun anew after 100 MB.
        "--audit-log-maxsize=4000".to_owned(),
    ]
}

fn controllers(folder: &Folder) -> Vec<String> {
    let kubeconfig = folder.kubeconfig(certificates::CONTROLLERS);
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--authentication-kubeconfig={}", kubeconfig.display()),
        format!("--authorization-kubeconfig={}", kubeconfig.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", folder.ports().controllers),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!(
            "--root-ca-file={}",
            folder.certificate(certificates::CA).display()
        ),
        format!(
            "--service-account-private-key-file={}",
            folder.key(certificates::SERVICE_ACCOUNTS).display()
        ),
        format!("--controllers={}", CONTROLLERS.join(",")),
    ]
}

fn scheduler(folder: &Folder) -> Vec<String> {
    let kubeconfig = folder.kubeconfig(certificates::SCHEDULER);
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--authentication-kubeconfig={}", kubeconfig.display()),
        format!("--authorization-kubeconfig={}", kubeconfig.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", folder.ports().scheduler),
        "--leader-elect=false".to_owned(),
    ]
}

/// Waits until nobody listens: the threads of a killed process keep its port for a moment longer than it has a name.
pub(crate) async fn wait_until_free(port: u16, most: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    while TcpListener::bind(("127.0.0.1", port)).is_err() {
        if started.elapsed() > most {
            bail!(
                "somebody else listens at 127.0.0.1:{port}: end that, or take the cluster down and up again"
            );
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}

/// Whether one of the arguments is the folder or something in it.
fn names_folder(command_line: &str, root: &Path) -> bool {
    let root = root.to_string_lossy();
    let below = format!("{root}/");
    command_line
        .split('\0')
        .any(|argument| argument == root || argument.contains(&below))
}

/// A process that belongs to a folder.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    name: &'static str,
    root: PathBuf,
}

impl Process {
    /// The process of that name, whether it runs or not.
    pub(crate) fn of(folder: &Folder, name: &'static str) -> Self {
        Self::at(folder.root(), name)
    }

    /// The process of that name of the cluster at `root`.
    pub(crate) fn at(root: &Path, name: &'static str) -> Self {
        Self {
            name,
            root: root.to_owned(),
        }
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join(format!("{}.log", self.name))
    }

    fn pid_file(&self) -> PathBuf {
        self.root.join(format!("{}.pid", self.name))
    }

    /// Starts it with a process group of its own, so that it lives on when xtask or its terminal ends.
    pub(crate) fn start(&self, program: &Path, arguments: &[OsString]) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        fs::write(self.pid_file(), child.id().to_string())?;
        // Just after its start a process has no command line yet, by which it is known.
        while self.pid().is_none() && child.try_wait()?.is_none() {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        // Should it end while xtask runs, nothing of it remains.
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    /// Its id, when it runs: the pid file may be older than the machine's last start, so the process must name our folder.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let pid: i32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        names_folder(&String::from_utf8_lossy(&command_line), &self.root).then(|| Pid::from_raw(pid))
    }

    /// Sends the signal and waits for the end.
    pub(crate) fn end(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(pid) = self.pid() else {
            return Ok(());
        };
        kill(pid, signal).with_context(|| format!("cannot end {}", self.name))?;
        let told = Instant::now();
        while self.pid().is_some() {
            if told.elapsed() > MOST_FOR_END {
                bail!("{} does not end", self.name);
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Ok(())
    }

    /// Waits until it listens.
    pub(crate) async fn wait_for_port(&self, port: u16, most: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while TcpStream::connect_timeout(&address, most).is_err() {
            self.check(started, most)?;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// Fails when the process ended, or when too much time has passed.
    pub(crate) fn check(&self, started: Instant, most: Duration) -> anyhow::Result<()> {
        if self.pid().is_none() {
            bail!("{} ended; {}", self.name, self.last_words());
        }
        if started.elapsed() > most {
            bail!(
                "{} is not ready after {} s; {}",
                self.name,
                most.as_secs(),
                self.last_words()
            );
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LAST_LINES);
        format!(
            "the last lines of {}:\n{}",
            self.log().display(),
            lines.get(from..).unwrap_or_default().join("\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_folder() {
        let root = Path::new("target/test-cluster");
        assert!(names_folder("etcd\0--data-dir=target/test-cluster/etcd\0", root));
        assert!(names_folder("xtask\0--dir\0target/test-cluster\0", root));
        assert!(!names_folder(
            "etcd\0--data-dir=target/test-cluster-check/etcd\0",
            root
        ));
        assert!(!names_folder("", root));
    }

    #[test]
    fn every_part_names_its_folder() {
        let place = std::env::temp_dir().join(format!("dgdr-cluster-part-{}", std::process::id()));
        let folder = Folder::open(&place).unwrap();
        for part in Part::ALL {
            let arguments = part.arguments(&folder);
            let line: Vec<_> = arguments
                .iter()
                .map(|argument| argument.to_string_lossy())
                .collect();
            assert!(
                names_folder(&line.join("\0"), folder.root()),
                "{}",
                part.program()
            );
        }
        fs::remove_dir_all(&place).unwrap();
    }
}
