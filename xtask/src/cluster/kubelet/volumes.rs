//! The volumes of a pod as folders.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Volume, VolumeProjection,
};

use super::container_root::Bind;
use super::environment;
use super::objects::{Keys, NotYet, Objects};

/// Where a pod's volumes are, by their names.
pub(super) type Folders = BTreeMap<String, PathBuf>;

/// What the volumes of a pod are made of.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    /// Whose they are.
    pub(super) pod: &'a Pod,
    /// Where they are made.
    pub(super) folder: &'a Path,
    /// Where claims have their files.
    pub(super) claims: &'a Path,
    /// What they may refer to.
    pub(super) objects: &'a Objects,
}

impl Room<'_> {
    /// Makes all volumes, again if need be.
    pub(super) async fn furnish(self) -> Result<Folders, NotYet> {
        let mut folders = Folders::new();
        let spec = self.pod.spec.as_ref();
        for volume in spec.and_then(|spec| spec.volumes.as_ref()).into_iter().flatten() {
            let folder = self.volume(volume).await.map_err(|missing| {
                NotYet::new(&format!(
                    "MountVolume.SetUp failed for volume \"{}\" : {missing}",
                    volume.name
                ))
            })?;
            folders.insert(volume.name.clone(), folder);
        }
        Ok(folders)
    }

    async fn volume(self, volume: &Volume) -> Result<PathBuf, NotYet> {
        let folder = self.folder.join(&volume.name);
        fs::create_dir_all(&folder)?;
        if volume.empty_dir.is_some() {
            // Any user of any container may write there.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        } else if let Some(claim) = &volume.persistent_volume_claim {
            let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
            let claimed = self.claims.join(format!("{namespace}_{}", claim.claim_name));
            fs::create_dir_all(&claimed)?;
            return Ok(claimed);
        } else if let Some(host) = &volume.host_path {
            return Ok(PathBuf::from(&host.path));
        } else if let Some(map) = &volume.config_map {
            let keys = self
                .objects
                .config_map(&map.name, map.optional.unwrap_or_default().into())
                .await?;
            write_keys(&folder, &keys, map.items.as_deref())?;
        } else if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let keys = self
                .objects
                .secret(name, secret.optional.unwrap_or_default().into())
                .await?;
            write_keys(&folder, &keys, secret.items.as_deref())?;
        } else if let Some(downward) = &volume.downward_api {
            self.write_fields(&folder, downward.items.as_deref())?;
        } else if let Some(projected) = &volume.projected {
            self.project(&folder, projected).await?;
        } else {
            return Err(NotYet::new("the test kubelet knows no such kind of volume"));
        }
        Ok(folder)
    }

    async fn project(self, folder: &Path, projected: &ProjectedVolumeSource) -> Result<(), NotYet> {
        for source in projected.sources.iter().flatten() {
            self.project_one(folder, source).await?;
        }
        Ok(())
    }

    async fn project_one(self, folder: &Path, source: &VolumeProjection) -> Result<(), NotYet> {
        if let Some(token) = &source.service_account_token {
            let text = self.objects.token(self.pod, token).await?;
            write(folder, &token.path, text.as_bytes())?;
        }
        if let Some(map) = &source.config_map {
            let keys = self
                .objects
                .config_map(&map.name, map.optional.unwrap_or_default().into())
                .await?;
            write_keys(folder, &keys, map.items.as_deref())?;
        }
        if let Some(secret) = &source.secret {
            let keys = self
                .objects
                .secret(&secret.name, secret.optional.unwrap_or_default().into())
                .await?;
            write_keys(folder, &keys, secret.items.as_deref())?;
        }
        if let Some(downward) = &source.downward_api {
            self.write_fields(folder, downward.items.as_deref())?;
        }
        Ok(())
    }

    fn write_fields(self, folder: &Path, items: Option<&[DownwardAPIVolumeFile]>) -> Result<(), NotYet> {
        for item in items.unwrap_or_default() {
            if let Some(field) = &item.field_ref {
                write(
                    folder,
                    &item.path,
                    environment::field_of(self.pod, field).as_bytes(),
                )?;
            }
        }
        Ok(())
    }
}

fn write_keys(folder: &Path, keys: &Keys, items: Option<&[KeyToPath]>) -> Result<(), NotYet> {
    match items {
        None => {
            for (key, value) in keys {
                write(folder, key, value)?;
            }
        }
        Some(items) => {
            for item in items {
                let value = keys.get(&item.key).ok_or_else(|| {
                    NotYet::new(&format!("references non-existent config key: {}", item.key))
                })?;
                write(folder, &item.path, value)?;
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), NotYet> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content)?;
    Ok(())
}

/// Where a container sees the volumes.
pub(super) fn binds(
    container: &Container,
    folders: &Folders,
    expand: impl Fn(&str) -> String,
) -> Result<Vec<Bind>, NotYet> {
    let mut binds = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let Some(folder) = folders.get(&mount.name) else {
            return Err(NotYet::new(&format!("volume \"{}\" not found", mount.name)));
        };
        let below = mount.sub_path_expr.as_deref().map(&expand);
        let source = match below.as_deref().or(mount.sub_path.as_deref()) {
            None | Some("") => folder.clone(),
            Some(below) => {
                let source = folder.join(below);
                if !source.exists() {
                    fs::create_dir_all(&source)?;
                }
                source
            }
        };
        binds.push(Bind {
            source,
            target: PathBuf::from(&mount.mount_path),
        });
    }
    Ok(binds)
}
