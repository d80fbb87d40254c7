//! Reading and writing fields of a tree by path.

use serde_json::{Map, Value, json};

/// What a field must hold to be translated; all else is only preserved.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    Bool,
    Number,
    /// A whole number, also where it is written with a zero fraction.
    Whole,
    Text,
    /// A text; an empty one counts as unset.
    FilledText,
    Object,
    List,
}

impl Holds {
    pub(super) fn read(self, value: &Value) -> Option<Value> {
        let fits = match self {
            Self::Bool => value.is_boolean(),
            Self::Number => value.is_number(),
            Self::Whole => return crate::resolve::whole(value).map(Value::from),
            Self::Text => value.is_string(),
            Self::FilledText => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
        };
        fits.then(|| value.clone())
    }
}

/// The value at a path of object fields.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, field| value.get(field))
}

/// Sets the value at a path, with the objects on the way; none removes it, with the objects that this leaves empty.
pub(super) fn set(value: &mut Value, path: &[&str], new: Option<Value>) {
    match new {
        Some(new) => *reach(value, path) = new,
        None => remove(value, path),
    }
}

/// The place at a path; what stands in the way is replaced by objects.
pub(super) fn reach<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Value {
    path.iter().fold(value, |value, field| {
        if !value.is_object() {
            *value = json!({});
        }
        &mut value[*field]
    })
}

fn remove(value: &mut Value, path: &[&str]) {
    let (Some((field, below)), Some(object)) = (path.split_first(), value.as_object_mut()) else {
        return;
    };
    if let Some(child) = object.get_mut(*field)
        && !below.is_empty()
    {
        remove(child, below);
        if !child.as_object().is_some_and(Map::is_empty) {
            return;
        }
    }
    object.remove(*field);
}
