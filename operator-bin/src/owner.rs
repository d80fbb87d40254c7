//! The DGDR that everything is made for.

use dgdr_types::contract::{API_VERSION, KIND, annotation, label};
use dgdr_types::names::DgdrName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Whose an object is.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Name of the DGDR.
    pub dgdr: &'a DgdrName,
    /// Its namespace, and that of what is made for it.
    pub namespace: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// Generation of the spec that things are made from, where it is known.
    pub generation: Option<i64>,
}

impl Owner<'_> {
    /// Metadata of an object that goes with the DGDR: labelled by it, marked with the spec that it was made from, and
    /// deleted with it.
    pub(crate) fn metadata(&self, name: String) -> ObjectMeta {
        let labels = [
            (label::DGDR_NAME, self.dgdr.as_str()),
            (label::DGDR_NAMESPACE, self.namespace),
            (label::MANAGED_BY, label::MANAGED_BY_OPERATOR),
        ];
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(
                labels
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
            ),
            annotations: self
                .generation
                .map(|generation| [(annotation::GENERATION.to_owned(), generation.to_string())].into()),
            owner_references: Some(vec![self.reference()]),
            ..ObjectMeta::default()
        }
    }

    /// What says that an object goes with the DGDR.
    pub(crate) fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            name: self.dgdr.to_string(),
            uid: self.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}
