//! The collector's way to the API server where the pod mounts no token.

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector,
    ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use super::COLLECTOR;

/// Name of the volume, as upstream's.
const VOLUME: &str = "output-copier-kube-api-access";
/// Where every client looks for the token.
const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Life of a token, which the kubelet renews.
const SECONDS: i64 = 3600;

/// Where `automountServiceAccountToken: false` keeps the token from all containers, the collector alone gets one: without
/// it no result would leave the pod.
pub(super) fn keep_for_collector(job: &mut JobSpec) {
    let Some(pod) = &mut job.template.spec else { return };
    if pod.automount_service_account_token != Some(false) {
        return;
    }
    pod.volumes.get_or_insert_default().push(Volume {
        name: VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: None,
            sources: Some(vec![token(), root_certificate(), namespace()]),
        }),
        ..Volume::default()
    });
    for container in pod
        .containers
        .iter_mut()
        .filter(|container| container.name == COLLECTOR)
    {
        container.volume_mounts.get_or_insert_default().push(VolumeMount {
            name: VOLUME.to_owned(),
            mount_path: DIRECTORY.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
}

fn token() -> VolumeProjection {
    VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: "token".to_owned(),
            expiration_seconds: Some(SECONDS),
            audience: None,
        }),
        ..VolumeProjection::default()
    }
}

fn root_certificate() -> VolumeProjection {
    VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".to_owned(),
            items: Some(vec![KeyToPath {
                key: "ca.crt".to_owned(),
                path: "ca.crt".to_owned(),
                mode: None,
            }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    }
}

fn namespace() -> VolumeProjection {
    VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".to_owned(),
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.namespace".to_owned(),
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    }
}
