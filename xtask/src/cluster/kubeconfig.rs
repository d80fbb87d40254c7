//! Kubeconfig files: how a client of a test cluster finds it and says who it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::certificates;
use super::folder::Folder;

/// Writes the file of one who has a certificate.
pub(crate) fn write_for_certificate(folder: &Folder, owner: &str) -> anyhow::Result<PathBuf> {
    let user = json!({
        "client-certificate": folder.certificate(owner),
        "client-key": folder.key(owner),
    });
    write(folder, owner, &user)
}

/// Writes the file of one who has a token.
pub(crate) fn write_for_token(folder: &Folder, owner: &str, token: &str) -> anyhow::Result<PathBuf> {
    write(folder, owner, &json!({ "token": token }))
}

/// JSON, which is YAML too.
fn write(folder: &Folder, owner: &str, user: &Value) -> anyhow::Result<PathBuf> {
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "dgdr-test",
            "cluster": {
                "server": folder.server(),
                "certificate-authority": folder.certificate(certificates::CA),
            },
        }],
        "users": [{ "name": owner, "user": user }],
        "contexts": [{ "name": "dgdr-test", "context": { "cluster": "dgdr-test", "user": owner } }],
        "current-context": "dgdr-test",
    });
    let path = folder.kubeconfig(owner);
    fs::write(&path, serde_json::to_vec_pretty(&document)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A client that is whom the file says, and looks nowhere else.
pub(crate) async fn client(path: &Path) -> anyhow::Result<kube::Client> {
    let kubeconfig =
        Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
