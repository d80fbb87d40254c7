//! Requests with one thing wrong, as people and programs get them wrong.

use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// Ways to damage a field.
const WAYS: [Way; 9] = [
    Way::Remove,
    Way::Null,
    Way::OtherKind,
    Way::Quote,
    Way::Negate,
    Way::Zero,
    Way::Fraction,
    Way::Misspell,
    Way::Invent,
];

#[derive(Debug, Clone, Copy)]
enum Way {
    /// The field is forgotten.
    Remove,
    /// It is given without a value.
    Null,
    /// It holds a value of another kind.
    OtherKind,
    /// A number or truth value is put in quotes, a word is spoilt.
    Quote,
    /// A number is below zero.
    Negate,
    /// A number is zero.
    Zero,
    /// A number has a fraction.
    Fraction,
    /// Its name is misspelt.
    Misspell,
    /// A field that does not exist stands beside it.
    Invent,
}

/// The spec with one field damaged.
pub(super) fn damaged(spec: &Value, dice: &mut Dice) -> Value {
    let mut paths = Vec::new();
    fields(spec, &mut Vec::new(), &mut paths);
    let mut damaged = spec.clone();
    let (Some(path), Some(way)) = (dice.pick(&paths), dice.pick(&WAYS)) else {
        return damaged;
    };
    if let Some((name, parents)) = path.split_last() {
        let parent = parents
            .iter()
            .try_fold(&mut damaged, |value, key| value.get_mut(key.as_str()));
        if let Some(Value::Object(object)) = parent {
            spoil(object, name, (*way, dice));
        }
    }
    damaged
}

/// The paths of all fields; what overrides hold is free.
fn fields(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Some(object) = value.as_object() else { return };
    for (name, below) in object {
        path.push(name.clone());
        found.push(path.clone());
        if name != "overrides" {
            fields(below, path, found);
        }
        path.pop();
    }
}

fn spoil(object: &mut Map<String, Value>, name: &str, (way, dice): (Way, &mut Dice)) {
    let Some(value) = object.get(name).cloned() else {
        return;
    };
    let number = value.as_f64();
    let spoilt = match way {
        Way::Remove => {
            object.remove(name);
            return;
        }
        Way::Misspell => {
            object.remove(name);
            object.insert(format!("{name}s"), value);
            return;
        }
        Way::Invent => {
            object.insert("nobodyKnowsThis".to_owned(), json!(1));
            return;
        }
        Way::Null => Value::Null,
        Way::OtherKind => other_kind(&value, dice),
        Way::Quote => value
            .as_str()
            .map_or_else(|| json!(value.to_string()), |text| json!(format!("{text}x"))),
        Way::Negate => number.map_or(Value::Null, |number| json!(-number)),
        Way::Zero => number.map_or_else(|| json!(""), |_| json!(0)),
        Way::Fraction => number.map_or_else(|| json!(true), |number| json!(number + 0.5)),
    };
    object.insert(name.to_owned(), spoilt);
}

fn other_kind(value: &Value, dice: &mut Dice) -> Value {
    let kinds = [
        json!("text"),
        json!(7),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
    ];
    let others: Vec<&Value> = kinds
        .iter()
        .filter(|kind| std::mem::discriminant(*kind) != std::mem::discriminant(value))
        .collect();
    dice.pick(&others).map_or(Value::Null, |kind| (*kind).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_damages_one_field_and_always_the_same() {
        let spec = json!({"model": "m", "hardware": {"totalGpus": 8}, "overrides": {"dgd": {"spec": 1}}});
        let variants = |seed| {
            let mut dice = Dice::new(seed);
            (0..200).map(|_| damaged(&spec, &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(variants(1), variants(1));
        assert_ne!(variants(1), variants(2));
        for variant in variants(1) {
            let same = ["model", "hardware", "overrides"]
                .into_iter()
                .filter(|name| variant.get(name) == spec.get(name))
                .count();
            assert!(same >= 2, "more than one part differs: {variant}");
            assert!(
                variant.get("overrides").is_none_or(|overrides| {
                    !overrides.is_object()
                        || overrides["dgd"] == spec["overrides"]["dgd"]
                        || *overrides == json!({})
                }),
                "what overrides hold is free: {variant}"
            );
        }
    }

    #[test]
    fn every_way_is_taken() {
        let spec = json!({"isl": 8});
        let mut dice = Dice::new(3);
        let variants: Vec<String> = (0..400).map(|_| damaged(&spec, &mut dice).to_string()).collect();
        for wanted in [
            "{}",
            r#"{"isl":null}"#,
            r#"{"isl":"8"}"#,
            r#"{"isl":-8.0}"#,
            r#"{"isl":0}"#,
            r#"{"isl":8.5}"#,
            r#"{"isls":8}"#,
            r#"{"isl":8,"nobodyKnowsThis":1}"#,
            r#"{"isl":true}"#,
        ] {
            assert!(
                variants.iter().any(|variant| variant == wanted),
                "{wanted} is never drawn"
            );
        }
    }
}
