//! A container's view of the file system: this machine's, with the pod's volumes mounted where the pod wants them.
//!
//! Runs in a process of its own, which first gets a mount namespace, then a root made of binds, and then becomes the
//! container's program: nothing of it is seen, or remains, outside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getgid, getuid};
use serde::{Deserialize, Serialize};

use super::images::Invocation;

/// Where a mapped program is seen, in a folder that no volume hides.
const PROGRAMS: &str = "/.programs";

/// What the last words begin with where a program could not start.
pub(super) const NOT_STARTED: &str = "exec: ";

/// A file or folder that is seen elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// Outside.
    pub(crate) source: PathBuf,
    /// Inside.
    pub(crate) target: PathBuf,
}

/// A container that is about to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// An empty folder on which its root is mounted.
    pub(crate) root: PathBuf,
    /// Volumes.
    pub(crate) binds: Vec<Bind>,
    /// What it runs.
    pub(crate) invocation: Invocation,
    /// All its variables.
    pub(crate) variables: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) folder: PathBuf,
    /// Where its last words go, outside.
    pub(crate) last_words: PathBuf,
}

/// Becomes the container that the file describes; returns only when that failed.
pub(crate) fn enter(description: &Path) -> anyhow::Error {
    let launch = match read(description) {
        Ok(launch) => launch,
        Err(error) => return error,
    };
    let failure = match furnish(&launch) {
        Ok(()) => anyhow!(
            "{NOT_STARTED}{:?}: {}",
            launch.invocation.words.first().map_or("", String::as_str),
            exec(&launch)
        ),
        Err(error) => error,
    };
    // The root may hide the file by now, and then the log alone tells.
    if let Err(error) = fs::write(&launch.last_words, format!("{failure:#}")) {
        return failure.context(error);
    }
    failure
}

fn read(description: &Path) -> anyhow::Result<Launch> {
    let text = fs::read(description).with_context(|| format!("cannot read {}", description.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Makes the root and goes there.
fn furnish(launch: &Launch) -> anyhow::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    leave_namespace()?;
    let none: Option<&str> = None;
    mount(
        Some("tmpfs"),
        &launch.root,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .context("cannot mount a container's root")?;
    let mut binds: Vec<Bind> = Vec::new();
    for volume in &launch.binds {
        binds.push(Bind {
            source: volume.source.clone(),
            target: resolve(&volume.target),
        });
    }
    if let Some(file) = &launch.invocation.file {
        binds.push(Bind {
            source: file.clone(),
            target: Path::new(PROGRAMS).join(file_name(file)),
        });
    }
    // Outer volumes before what is mounted inside them.
    binds.sort_by(|a, b| a.target.cmp(&b.target));
    let missing: Vec<&Path> = binds
        .iter()
        .map(|bind| bind.target.as_path())
        .filter(|target| !target.exists())
        .collect();
    copy_view(Path::new("/"), launch, &missing)?;
    for volume in &binds {
        bind(volume, &launch.root)?;
    }
    std::os::unix::fs::chroot(&launch.root).context("cannot enter a container's root")?;
    std::env::set_current_dir("/")?;
    // A mount that the program makes stays with it.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).ok();
    fs::create_dir_all(&launch.folder)?;
    Ok(())
}

/// Mounts of this process are its own from here on; who is not root becomes it in a namespace of users.
fn leave_namespace() -> anyhow::Result<()> {
    let none: Option<&str> = None;
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        let (user, group) = (getuid(), getgid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).context(
            "no mount namespace for a container: run as root, or allow user namespaces \
             (kernel.unprivileged_userns_clone=1)",
        )?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot keep a container's mounts to itself")
}

/// Shows what is in a folder of this machine inside as well, leaving room for what is to be mounted and is missing.
fn copy_view(folder: &Path, launch: &Launch, missing: &[&Path]) -> anyhow::Result<()> {
    fs::create_dir_all(inside(&launch.root, folder))?;
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path)?, inside(&launch.root, &path))?;
        } else if kind.is_dir() && missing.iter().any(|target| target.starts_with(&path)) {
            copy_view(&path, launch, missing)?;
        } else {
            let same = Bind {
                source: path.clone(),
                target: path,
            };
            bind(&same, &launch.root)?;
        }
    }
    Ok(())
}

fn bind(volume: &Bind, root: &Path) -> anyhow::Result<()> {
    let target = inside(root, &volume.target);
    if volume.source.is_dir() {
        fs::create_dir_all(&target)?;
    } else if !target.exists() {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, "")?;
    }
    let none: Option<&str> = None;
    mount(
        Some(&volume.source),
        &target,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .with_context(|| {
        format!(
            "cannot mount {} at {}",
            volume.source.display(),
            volume.target.display()
        )
    })
}

/// A path of the container, as it is reached from outside.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The path without the symbolic links of this machine: `/var/run` is `/run` nearly everywhere.
fn resolve(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::from("/");
    for component in path.components() {
        if let Component::Normal(name) = component {
            resolved.push(name);
            if let Ok(real) = resolved.canonicalize() {
                resolved = real;
            }
        }
    }
    resolved
}

fn file_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or(path.as_os_str())
}

/// Becomes the program.
fn exec(launch: &Launch) -> std::io::Error {
    let words = &launch.invocation.words;
    let first = words.first().map_or("", String::as_str);
    let mut command = launch.invocation.file.as_deref().map_or_else(
        || Command::new(first),
        |file| Command::new(Path::new(PROGRAMS).join(file_name(file))),
    );
    command
        .arg0(first)
        .args(words.iter().skip(1))
        .current_dir(&launch.folder)
        .env_clear()
        .envs(&launch.variables)
        .exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_outside() {
        let root = Path::new("some/root");
        assert_eq!(inside(root, Path::new("/data/x")), Path::new("some/root/data/x"));
        assert_eq!(inside(root, Path::new("/")), Path::new("some/root/"));
    }

    #[test]
    fn missing_ends_of_paths_are_kept() {
        assert_eq!(
            resolve(Path::new("/proc/self/../no-such-folder/deeper")),
            std::fs::canonicalize("/proc/self")
                .unwrap()
                .join("no-such-folder/deeper")
        );
    }
}
