//! The one place that touches the YAML reader and writer.
//!
//! Plain scalars are read as `kubectl` reads them (`on` is true, `0755` is 493), so that a request means the same
//! here and in a cluster.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::error::DgdrError;
use crate::finding::Position;

/// A value with the place of every part of it.
pub(crate) struct Located {
    pub(crate) value: Plain,
    pub(crate) position: Option<Position>,
}

/// The value itself.
pub(crate) enum Plain {
    Scalar(Value),
    List(Vec<Located>),
    Object(Vec<(String, Located)>),
}

/// Reads one document of YAML or JSON.
pub(crate) fn read(text: &str) -> Result<Located, DgdrError> {
    let mut options = serde_saphyr::Options::default();
    options.legacy_octal_numbers = true;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let rendered = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        DgdrError::Syntax {
            position: error.location().as_ref().and_then(position),
            // The reader's own prefix would stand in the middle of our sentence.
            message: rendered.trim_end().trim_start_matches("error: ").to_owned(),
        }
    })
}

/// Writes a value as one YAML document.
pub(crate) fn write<T: serde::Serialize>(value: &T) -> Result<String, DgdrError> {
    serde_saphyr::to_string(value).map_err(|error| DgdrError::Unprintable {
        message: error.to_string(),
    })
}

fn position(location: &serde_saphyr::Location) -> Option<Position> {
    let found = Position {
        line: location.line(),
        column: location.column(),
    };
    (found.line > 0).then_some(found)
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Plain>::deserialize(deserializer)?;
        Ok(Self {
            position: position(&spanned.referenced),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or an object")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
        Ok(Plain::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
        Ok(Plain::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
        Ok(Plain::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Plain, E> {
        Number::from_f64(value)
            .map(|number| Plain::Scalar(Value::Number(number)))
            .ok_or_else(|| E::custom("numbers must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
        Ok(Plain::Scalar(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Plain, E> {
        Ok(Plain::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        Plain::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Plain::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Plain, A::Error> {
        let mut object: Vec<(String, Located)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Located>()? {
            if object.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("the field `{key}` is given twice")));
            }
            object.push((key, value));
        }
        Ok(Plain::Object(object))
    }
}

impl Located {
    /// The value without places; `visit` is told the path and place of every part.
    pub(crate) fn into_value(self, path: &str, visit: &mut impl FnMut(&str, Position)) -> Value {
        if let Some(position) = self.position {
            visit(path, position);
        }
        match self.value {
            Plain::Scalar(value) => value,
            Plain::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| item.into_value(&format!("{path}[{index}]"), visit))
                .collect(),
            Plain::Object(entries) => {
                let mut object = Map::new();
                for (key, item) in entries {
                    let below = join(path, &key);
                    let value = item.into_value(&below, visit);
                    object.insert(key, value);
                }
                Value::Object(object)
            }
        }
    }
}

/// The path of a field below a path.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
