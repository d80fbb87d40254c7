//! A certificate of our own: in a secret that replicas share, and trusted by the API server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use futures::stream::{BoxStream, StreamExt as _, select_all};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use rustls::ServerConfig;
use serde_json::{Value, json};

use super::issued::{Issued, issue, renewal, with_previous};
use super::{Pair, SelfMade};
use crate::admission::error::AdmissionError;
use dgdr_types::contract::{FIELD_OWNER, GROUP, PLURAL, label};

/// When to try again what the API server did not do.
const RETRY: Duration = Duration::from_secs(30);
/// The longest wait for a renewal; a clock that was set meanwhile is noticed by then.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// Keys of the secret.
const AUTHORITIES: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The shared certificate.
pub(super) struct Shared {
    names: SelfMade,
    client: Client,
}

/// A certificate that can be shown.
pub(super) struct Settled {
    pub(super) server: Arc<ServerConfig>,
    /// How long nothing is to be done.
    rest: Duration,
}

impl Shared {
    pub(super) const fn new(names: SelfMade, client: Client) -> Self {
        Self { names, client }
    }

    /// A valid certificate, made or renewed where there is none, and trusted as far as the API server lets us.
    pub(super) async fn settle(&self) -> Result<Settled, AdmissionError> {
        let issued = self.issued().await?;
        // Trusted before it is shown: in between, the API server would refuse us.
        let trusted = self.trust(&issued.authorities).await;
        if let Err(error) = &trusted {
            tracing::warn!(%error, "the API server may not trust the webhook");
        }
        let left = self
            .renewal(&issued)
            .and_then(|renewal| Duration::try_from(renewal.duration_since(Timestamp::now())).ok());
        Ok(Settled {
            server: issued.pair.server(&self.place())?,
            rest: match (trusted, left) {
                (Ok(()), Some(left)) => left.clamp(RETRY, LONGEST_WAIT),
                (Ok(()) | Err(_), _) => RETRY,
            },
        })
    }

    fn place(&self) -> String {
        format!("secret {}/{}", self.names.namespace, self.names.secret)
    }

    /// The certificate of the secret. Replicas that make one at the same time agree on that of the fastest.
    async fn issued(&self) -> Result<Issued, AdmissionError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.names.namespace);
        let failed = |source| AdmissionError::Api {
            object: self.place(),
            source,
        };
        loop {
            let known = secrets.get_opt(&self.names.secret).await.map_err(failed)?;
            let now = Timestamp::now();
            let found = known.as_ref().and_then(read);
            if let Some(issued) = &found
                && self.renewal(issued).is_some_and(|renewal| renewal > now)
            {
                return Ok(issued.clone());
            }
            let mut issued = issue(&self.names.service, &self.names.namespace, now).map_err(|problem| {
                AdmissionError::Issue {
                    service: self.names.service.clone(),
                    problem,
                }
            })?;
            if let Some(previous) = &found {
                issued.authorities = with_previous(&issued.authorities, &previous.authorities);
            }
            let secret = self.secret(&issued, known.as_ref());
            let written = if known.is_some() {
                secrets
                    .replace(&self.names.secret, &PostParams::default(), &secret)
                    .await
            } else {
                secrets.create(&PostParams::default(), &secret).await
            };
            match written {
                Ok(_) => {
                    tracing::info!(secret = self.place(), "the webhook has a new certificate");
                    return Ok(issued);
                }
                // Another replica was faster.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(source) => return Err(failed(source)),
            }
        }
    }

    fn renewal(&self, issued: &Issued) -> Option<Timestamp> {
        renewal(issued, &self.names.service, &self.names.namespace)
    }

    fn secret(&self, issued: &Issued, known: Option<&Secret>) -> Secret {
        let data = [
            (AUTHORITIES, &issued.authorities),
            (CERTIFICATE, &issued.pair.certificate),
            (KEY, &issued.pair.key),
        ];
        let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.clone())));
        Secret {
            metadata: ObjectMeta {
                name: Some(self.names.secret.clone()),
                namespace: Some(self.names.namespace.clone()),
                labels: Some(BTreeMap::from([(
                    label::MANAGED_BY.to_owned(),
                    label::MANAGED_BY_OPERATOR.to_owned(),
                )])),
                resource_version: known.and_then(|known| known.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from(data)),
            ..Secret::default()
        }
    }

    /// Writes the authorities wherever the API server looks for them. What is not installed needs none.
    async fn trust(&self, authorities: &[u8]) -> Result<(), AdmissionError> {
        let bundle = ByteString(authorities.to_vec());
        let configuration = &self.names.configuration;
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        trust_in(&validating, configuration, |object| {
            let hooks = object.webhooks.iter().flatten();
            hooks_patch(
                hooks.map(|hook| (hook.name.as_str(), hook.client_config.ca_bundle.as_ref())),
                &bundle,
            )
        })
        .await?;
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        trust_in(&mutating, configuration, |object| {
            let hooks = object.webhooks.iter().flatten();
            hooks_patch(
                hooks.map(|hook| (hook.name.as_str(), hook.client_config.ca_bundle.as_ref())),
                &bundle,
            )
        })
        .await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        trust_in(&definitions, &definition(), |object| {
            conversion_patch(object, &bundle)
        })
        .await
    }

    /// Renews in time, follows other replicas, and writes the authorities again where somebody removed them.
    pub(super) async fn keep(self, tls: &RustlsConfig) -> Infallible {
        let mut changes = self.changes();
        let mut rest = RETRY;
        loop {
            tokio::select! {
                Some(_) = changes.next() => {}
                () = tokio::time::sleep(rest) => {}
            }
            rest = match self.settle().await {
                Ok(settled) => {
                    tls.reload_from_config(settled.server);
                    settled.rest
                }
                Err(error) => {
                    tracing::warn!(%error, "the webhook keeps its certificate");
                    RETRY
                }
            };
        }
    }

    /// An item whenever an object changed that holds the authorities: somebody removed them, or another replica has a new
    /// certificate. The secret itself is not watched, so that secrets are read by name alone.
    fn changes(&self) -> BoxStream<'static, Vec<()>> {
        let all = [
            changes_of::<ValidatingWebhookConfiguration>(
                Api::all(self.client.clone()),
                &self.names.configuration,
            ),
            changes_of::<MutatingWebhookConfiguration>(
                Api::all(self.client.clone()),
                &self.names.configuration,
            ),
            changes_of::<CustomResourceDefinition>(Api::all(self.client.clone()), &definition()),
        ];
        // Those that come together are one.
        select_all(all).ready_chunks(16).boxed()
    }
}

fn definition() -> String {
    format!("{PLURAL}.{GROUP}")
}

fn changes_of<K>(api: Api<PartialObjectMeta<K>>, name: &str) -> BoxStream<'static, ()>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    watch_object(api, name)
        .default_backoff()
        .filter_map(|change| std::future::ready(change.ok().map(|_| ())))
        .boxed()
}

fn read(secret: &Secret) -> Option<Issued> {
    let data = |key: &str| Some(secret.data.as_ref()?.get(key)?.0.clone());
    Some(Issued {
        authorities: data(AUTHORITIES)?,
        pair: Pair {
            certificate: data(CERTIFICATE)?,
            key: data(KEY)?,
        },
    })
}

/// Patches an object where that is needed.
async fn trust_in<K>(
    api: &Api<K>,
    name: &str,
    patch: impl Fn(&K) -> Option<Patch<Value>>,
) -> Result<(), AdmissionError>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let failed = |source| AdmissionError::Api {
        object: format!("{} {name}", K::kind(&())),
        source,
    };
    let Some(object) = api.get_opt(name).await.map_err(failed)? else {
        return Ok(());
    };
    if let Some(patch) = patch(&object) {
        let params = PatchParams {
            field_manager: Some(FIELD_OWNER.to_owned()),
            ..PatchParams::default()
        };
        api.patch_metadata(name, &params, &patch).await.map_err(failed)?;
    }
    Ok(())
}

/// The bundle for every webhook of a configuration; none where all have it.
fn hooks_patch<'h>(
    hooks: impl Iterator<Item = (&'h str, Option<&'h ByteString>)>,
    bundle: &ByteString,
) -> Option<Patch<Value>> {
    let stale: Vec<Value> = hooks
        .filter(|(_, known)| *known != Some(bundle))
        .map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": bundle}}))
        .collect();
    // Merged by name, so that everything else of a webhook stays.
    (!stale.is_empty()).then(|| Patch::Strategic(json!({"webhooks": stale})))
}

fn conversion_patch(object: &CustomResourceDefinition, bundle: &ByteString) -> Option<Patch<Value>> {
    let conversion = object.spec.conversion.as_ref()?;
    let config = conversion.webhook.as_ref()?.client_config.as_ref()?;
    (config.ca_bundle.as_ref() != Some(bundle)).then(|| {
        Patch::Merge(json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}}))
    })
}
