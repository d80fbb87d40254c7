//! Where a test cluster keeps its files, and the ports that it keeps across restarts.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// Below the range from which the kernel takes ports for outgoing connections, so that a port is still free when its
/// listener comes back.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A port of 127.0.0.1 for each listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// etcd, for clients.
    pub(crate) etcd: u16,
    /// etcd, for other members.
    pub(crate) etcd_peer: u16,
    /// The API server.
    pub(crate) api_server: u16,
    /// The controller manager's health and metrics.
    pub(crate) controllers: u16,
    /// The scheduler's health and metrics.
    pub(crate) scheduler: u16,
    /// The test kubelet's logs.
    pub(crate) kubelet: u16,
}

/// The folder of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
    ports: Ports,
}

impl Folder {
    /// Opens the folder, or makes it and chooses ports.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot find {}", root.display()))?;
        let settings = root.join("ports.json");
        let ports = if settings.is_file() {
            serde_json::from_slice(&fs::read(&settings)?)
                .with_context(|| format!("{} is not ours: remove the folder", settings.display()))?
        } else {
            ensure!(
                fs::read_dir(&root)?.next().is_none(),
                "{} holds other things: give an empty folder",
                root.display()
            );
            let ports = choose_ports(&root)?;
            fs::write(&settings, serde_json::to_vec_pretty(&ports)?)?;
            ports
        };
        for folder in ["pki", "pods", "volumes"] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root, ports })
    }

    /// Where everything is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The ports of this cluster.
    pub(crate) const fn ports(&self) -> Ports {
        self.ports
    }

    /// A certificate, by its owner.
    pub(crate) fn certificate(&self, owner: &str) -> PathBuf {
        self.root.join("pki").join(format!("{owner}.crt"))
    }

    /// A private key, by its owner.
    pub(crate) fn key(&self, owner: &str) -> PathBuf {
        self.root.join("pki").join(format!("{owner}.key"))
    }

    /// A kubeconfig, by its owner.
    pub(crate) fn kubeconfig(&self, owner: &str) -> PathBuf {
        self.root.join(format!("{owner}.kubeconfig"))
    }

    /// Where pods have their volumes and logs.
    pub(crate) fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    /// Where claims have their files.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// The address of the API server.
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api_server)
    }
}

/// Free ports, looked for from a place that the folder's name gives: clusters of different folders rarely meet.
fn choose_ports(root: &Path) -> anyhow::Result<Ports> {
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    let start = u16::try_from(hasher.finish() % u64::from(PORTS))?;
    let mut free = (0..PORTS)
        .map(|step| FIRST_PORT + (start + step) % PORTS)
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut next = || free.next().context("no port of 127.0.0.1 is free");
    Ok(Ports {
        etcd: next()?,
        etcd_peer: next()?,
        api_server: next()?,
        controllers: next()?,
        scheduler: next()?,
        kubelet: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_chosen_once_and_differ() {
        let place = std::env::temp_dir().join(format!("dgdr-cluster-folder-{}", std::process::id()));
        let folder = Folder::open(&place).unwrap();
        let again = Folder::open(&place).unwrap();
        let ports = folder.ports();
        assert_eq!(ports, again.ports());
        let distinct = std::collections::BTreeSet::from([
            ports.etcd,
            ports.etcd_peer,
            ports.api_server,
            ports.controllers,
            ports.scheduler,
            ports.kubelet,
        ]);
        assert_eq!(distinct.len(), 6);
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn other_peoples_folders_are_refused() {
        let place = std::env::temp_dir().join(format!("dgdr-cluster-foreign-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("thesis.txt"), "years of work").unwrap();
        assert!(Folder::open(&place).is_err());
        fs::remove_dir_all(&place).unwrap();
    }
}
