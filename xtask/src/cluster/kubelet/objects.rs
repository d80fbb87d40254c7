//! The objects that a pod refers to, as its node may read them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::{Api, PostParams};
use tokio::time::sleep;

/// What a ConfigMap or Secret holds.
pub(super) type Keys = BTreeMap<String, Vec<u8>>;

/// Something is missing that may come.
#[derive(Debug, Clone)]
pub(super) struct NotYet(String);

impl NotYet {
    pub(super) fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

impl Display for NotYet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<kube::Error> for NotYet {
    fn from(error: kube::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for NotYet {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Whether a pod can do without an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

impl From<bool> for Need {
    fn from(optional: bool) -> Self {
        if optional { Self::Optional } else { Self::Required }
    }
}

/// How often, and how long apart, a node asks before it believes that it may not.
const ASKED: usize = 20;
const AGAIN: Duration = Duration::from_millis(100);

/// Asks again while it is forbidden: the API server learns a moment late which objects the pods of a node refer to.
async fn allowed<T, F: Future<Output = kube::Result<T>>>(ask: impl Fn() -> F) -> kube::Result<T> {
    for _ in 1..ASKED {
        match ask().await {
            Err(kube::Error::Api(status)) if status.code == 403 => sleep(AGAIN).await,
            answer => return answer,
        }
    }
    ask().await
}

/// The way to the objects of one namespace.
#[derive(Clone)]
pub(super) struct Objects {
    client: kube::Client,
    namespace: String,
    /// The port of the API server.
    port: u16,
}

impl Objects {
    pub(super) fn new(client: kube::Client, namespace: &str, port: u16) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            port,
        }
    }

    /// An object as a kubelet names it in messages.
    pub(super) fn place(&self, kind: &str, name: &str) -> String {
        format!("{kind} {}/{name}", self.namespace)
    }

    /// Where pods find the API server.
    pub(super) fn service_variables(&self) -> [(String, String); 3] {
        let port = self.port.to_string();
        [
            ("KUBERNETES_SERVICE_HOST".to_owned(), "127.0.0.1".to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), port.clone()),
            ("KUBERNETES_SERVICE_PORT_HTTPS".to_owned(), port),
        ]
    }

    pub(super) async fn config_map(&self, name: &str, need: Need) -> Result<Keys, NotYet> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        match allowed(|| api.get_opt(name)).await? {
            Some(map) => {
                let text = map.data.into_iter().flatten();
                let bytes = map.binary_data.into_iter().flatten();
                Ok(text
                    .map(|(key, value)| (key, value.into_bytes()))
                    .chain(bytes.map(|(key, value)| (key, value.0)))
                    .collect())
            }
            None if need == Need::Optional => Ok(Keys::new()),
            None => Err(NotYet(format!("configmap \"{name}\" not found"))),
        }
    }

    pub(super) async fn secret(&self, name: &str, need: Need) -> Result<Keys, NotYet> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        match allowed(|| api.get_opt(name)).await? {
            Some(secret) => Ok(secret
                .data
                .into_iter()
                .flatten()
                .map(|(key, value)| (key, value.0))
                .collect()),
            None if need == Need::Optional => Ok(Keys::new()),
            None => Err(NotYet(format!("secret \"{name}\" not found"))),
        }
    }

    /// A token of the pod's ServiceAccount, good for as long as the pod is there.
    pub(super) async fn token(
        &self,
        pod: &Pod,
        wanted: &ServiceAccountTokenProjection,
    ) -> Result<String, NotYet> {
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.as_deref())
            .unwrap_or("default");
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: wanted.audience.iter().cloned().collect(),
                expiration_seconds: wanted.expiration_seconds,
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
            },
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PostParams::default();
        let answer = allowed(|| api.create_token_request(account, &params, &request)).await?;
        answer
            .status
            .map(|status| status.token)
            .ok_or_else(|| NotYet::new("the API server gave no token"))
    }
}
