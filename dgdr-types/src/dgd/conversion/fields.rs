//! Reading an object field by field, so that no field is forgotten.

use serde_json::{Map, Value};

use crate::dgd::document::DocumentError;
use crate::dgd::version::DgdVersion;

/// The fields of an object that nobody took yet.
#[derive(Debug)]
pub(super) struct Fields {
    left: Map<String, Value>,
    path: String,
}

impl Fields {
    /// The fields of an object.
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Self, DocumentError> {
        let path = path.into();
        if let Value::Object(left) = value {
            Ok(Self { left, path })
        } else {
            Err(DocumentError::kind(&path, "an object"))
        }
    }

    /// Path of a field.
    pub(super) fn path(&self, field: &str) -> String {
        if self.path.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        }
    }

    /// Takes a field.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.left.remove(field)
    }

    /// Takes an object.
    pub(super) fn object(&mut self, field: &str) -> Result<Option<Self>, DocumentError> {
        let path = self.path(field);
        self.take(field).map(|value| Self::of(value, path)).transpose()
    }

    /// Takes a list.
    pub(super) fn list(&mut self, field: &str) -> Result<Option<Vec<Value>>, DocumentError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(DocumentError::kind(&self.path(field), "a list")),
        }
    }

    /// Takes a text.
    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, DocumentError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(DocumentError::kind(&self.path(field), "a text")),
        }
    }

    /// Takes a switch; off where it is missing.
    pub(super) fn is_on(&mut self, field: &str) -> Result<bool, DocumentError> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(is_on)) => Ok(is_on),
            Some(_) => Err(DocumentError::kind(&self.path(field), "true or false")),
        }
    }

    /// Moves fields as they are.
    pub(super) fn carry(&mut self, names: &[&str], to: &mut Map<String, Value>) {
        for name in names {
            if let Some(value) = self.take(name) {
                to.insert((*name).to_owned(), value);
            }
        }
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.left
    }

    /// Ends reading: all must be taken.
    ///
    /// # Errors
    /// For the first field that is left.
    pub(super) fn done(self, target: DgdVersion) -> Result<(), DocumentError> {
        let Some(field) = self.left.keys().next() else {
            return Ok(());
        };
        let source = match target {
            DgdVersion::V1alpha1 => DgdVersion::V1beta1,
            DgdVersion::V1beta1 => DgdVersion::V1alpha1,
        };
        Err(DocumentError::new(
            self.path(field),
            format!("has no counterpart in {target}"),
            format!("remove it, or keep the deployment in {source}"),
        ))
    }
}

/// Sets a field, unless it would be empty.
pub(super) fn set_filled(fields: &mut Map<String, Value>, name: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        fields.insert(name.to_owned(), Value::Object(value));
    }
}

/// Sets a field, unless there is nothing to set.
pub(super) fn set_some(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value);
    }
}

/// The name of an item of a list.
pub(super) fn name_of(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}
