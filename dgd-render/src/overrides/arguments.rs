//! What happens to the command line of a container.
//!
//! Arguments of v1alpha1 workers are appended, all others replace, unless `$patch: {args: append}` stands beside them. A
//! part may be a whole deployment, so a command line that starts the same module again is read as its arguments.

use dgdr_perf_model::Backend;
use serde_json::{Map, Value};

use super::Findings;
use super::containers::texts;
use super::problem::OverrideProblem;

/// The directive that says how lists are merged.
const DIRECTIVE: &str = "$patch";

/// How arguments are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArgumentsMode {
    /// After those that were generated.
    Append,
    /// Instead of them.
    Replace,
}

/// What a container is merged into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generated<'a> {
    /// The container; none where it is new.
    pub(super) container: Option<&'a Value>,
    /// The engine that was picked.
    pub(super) backend: Backend,
    /// How arguments are merged without a directive.
    pub(super) mode: ArgumentsMode,
    /// Path of the part's container within the override.
    pub(super) path: &'a str,
}

/// Turns the command line of a part into the whole one, and takes its directive away.
pub(super) fn settle(part: &mut Map<String, Value>, generated: Generated<'_>, found: &mut Findings) {
    let Generated {
        container,
        backend: _,
        mut mode,
        path,
    } = generated;
    if let Some(directive) = part.remove(DIRECTIVE) {
        if directive == serde_json::json!({"args": "append"}) {
            mode = ArgumentsMode::Append;
        } else {
            found.problems.push(OverrideProblem::Directive {
                path: format!("{path}.{DIRECTIVE}"),
            });
        }
    }
    let known = |field| container.and_then(|container| texts(container.get(field)));
    let Some(known_arguments) = known("args") else {
        return;
    };
    for field in ["command", "args"] {
        if part.get(field).is_some_and(|value| texts(Some(value)).is_none()) {
            found.problems.push(OverrideProblem::Kind {
                path: format!("{path}.{field}"),
                given: "something else",
                wanted: "a list of texts",
            });
            return;
        }
    }
    let command = texts(part.get("command"));
    let arguments = texts(part.get("args"));
    let line = Line::read(
        command.as_deref(),
        arguments.as_deref(),
        known("command").as_deref(),
    );
    match line {
        Line::Other(words) => {
            check_words(&words, generated, &known_arguments, found);
            found.warnings.push(format!(
                "{path}: starts another program: the generated arguments reach the engine only as far as it passes them on"
            ));
        }
        Line::Same(given) => {
            if let [line] = given.as_slice()
                && line.starts_with("python")
                && line.contains(char::is_whitespace)
            {
                found.problems.push(OverrideProblem::ShellLine {
                    path: format!("{path}.args"),
                    line: line.clone(),
                });
                return;
            }
            part.remove("command");
            part.remove("args");
            if !given.is_empty() || arguments.is_some() {
                let merged = arguments_of(&given, &known_arguments, Generated { mode, ..generated }, found);
                part.insert("args".to_owned(), merged.into());
            }
        }
    }
}

/// A command line beside the generated one.
enum Line {
    /// Of the same program; these are its arguments.
    Same(Vec<String>),
    /// Of another program; these are all its words.
    Other(Vec<String>),
}

impl Line {
    fn read(command: Option<&[String]>, arguments: Option<&[String]>, known: Option<&[String]>) -> Self {
        let arguments = arguments.unwrap_or_default();
        let Some(command) = command else {
            return Self::Same(arguments.to_vec());
        };
        if Some(command) == known {
            return Self::Same(arguments.to_vec());
        }
        match command {
            [python, rest @ ..]
                if matches!(python.as_str(), "python" | "python3")
                    && rest.first().is_none_or(|first| first == "-m") =>
            {
                Self::Same(rest.iter().chain(arguments).cloned().collect())
            }
            _ => Self::Other(command.iter().chain(arguments).cloned().collect()),
        }
    }
}

/// The whole arguments of the same program.
fn arguments_of(
    given: &[String],
    known: &[String],
    generated: Generated<'_>,
    found: &mut Findings,
) -> Vec<String> {
    let path = format!("{}.args", generated.path);
    let module = match known {
        [flag, module, ..] if flag == "-m" => Some(module),
        _ => None,
    };
    let (started, given) = match given {
        [flag, module, rest @ ..] if flag == "-m" => (Some(module), rest),
        _ => (None, given),
    };
    check_model(given, known, &path, found);
    if let (Some(started), Some(module)) = (started, module)
        && started != module
    {
        check_module(started, &generated, found);
        found.warnings.push(format!(
            "{path}: starts {started} instead of {module}: the generated arguments are replaced"
        ));
        return ["-m", started]
            .map(str::to_owned)
            .into_iter()
            .chain(given.iter().cloned())
            .collect();
    }
    if generated.mode == ArgumentsMode::Append {
        let there = flags(known);
        let new = flags(given)
            .into_iter()
            .filter(|flag| !is_model(&flag.name) && !there.contains(flag));
        return known
            .iter()
            .cloned()
            .chain(new.flat_map(|flag| flag.words))
            .collect();
    }
    match (started, module) {
        (None, Some(module)) => {
            found.problems.push(OverrideProblem::StartsNothing {
                path,
                module: module.clone(),
            });
            known.to_vec()
        }
        (Some(module), _) => {
            check_model_is_said(given, known, &path, found);
            ["-m", module]
                .map(str::to_owned)
                .into_iter()
                .chain(given.iter().cloned())
                .collect()
        }
        (None, None) => given.to_vec(),
    }
}

/// A flag with its values, and the words that say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    words: Vec<String>,
}

/// Arguments flag by flag; what stands before the first is a flag without name.
pub(super) fn flags(arguments: &[String]) -> Vec<Flag> {
    let mut flags: Vec<Flag> = Vec::new();
    for word in arguments {
        let starts = word.starts_with('-') && word.parse::<f64>().is_err();
        match flags.last_mut() {
            Some(flag) if !starts => {
                flag.values.push(word.clone());
                flag.words.push(word.clone());
            }
            _ => {
                let (name, value) = match word.split_once('=') {
                    Some((name, value)) if starts => (name, Some(value.to_owned())),
                    _ => (word.as_str(), None),
                };
                flags.push(Flag {
                    name: if starts {
                        name.replace('_', "-")
                    } else {
                        String::new()
                    },
                    values: if starts {
                        value.into_iter().collect()
                    } else {
                        vec![word.clone()]
                    },
                    words: vec![word.clone()],
                });
            }
        }
    }
    flags
}

/// Flags that name the model.
fn is_model(flag: &str) -> bool {
    matches!(
        flag,
        "--model" | "--model-path" | "--model-name" | "--served-model-name"
    )
}

/// The model is the request's: a flag may only repeat it.
fn check_model(given: &[String], known: &[String], path: &str, found: &mut Findings) {
    let known: Vec<String> = flags(known)
        .into_iter()
        .filter(|flag| is_model(&flag.name))
        .flat_map(|flag| flag.values)
        .collect();
    for flag in flags(given) {
        let other = flag.values.iter().find(|value| !known.contains(value));
        if let Some(value) = other.filter(|_| is_model(&flag.name) && !known.is_empty()) {
            found.problems.push(OverrideProblem::Model {
                path: path.to_owned(),
                flag: flag.name,
                value: value.clone(),
            });
        }
    }
}

/// Without these flags an engine takes a model of its own.
fn check_model_is_said(given: &[String], known: &[String], path: &str, found: &mut Findings) {
    let names_weights = |flag: &Flag| matches!(flag.name.as_str(), "--model" | "--model-path");
    let given = flags(given);
    for flag in flags(known).into_iter().filter(names_weights) {
        if !given.iter().any(names_weights) {
            found.problems.push(OverrideProblem::NoModel {
                path: path.to_owned(),
                value: flag.values.join(" "),
                flag: flag.name,
            });
        }
    }
}

fn check_module(started: &str, generated: &Generated<'_>, found: &mut Findings) {
    let engine = started.strip_prefix("dynamo.").and_then(|module| {
        Backend::ALL
            .into_iter()
            .find(|backend| module.split('.').next() == Some(backend.to_string().as_str()))
    });
    if engine.is_some_and(|engine| engine != generated.backend) {
        found.problems.push(OverrideProblem::Backend {
            path: generated.path.to_owned(),
            value: started.to_owned(),
            backend: generated.backend,
        });
    }
}

/// Looks for model and engine in the words of another program, such as a shell that is given a script.
fn check_words(words: &[String], generated: Generated<'_>, known: &[String], found: &mut Findings) {
    let words: Vec<String> = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .map(|word| word.trim_matches(['"', '\'']).to_owned())
        .collect();
    for pair in words.windows(2) {
        let [first, second] = pair else { continue };
        if first == "-m" {
            check_module(second, &generated, found);
        }
        if is_model(&first.replace('_', "-")) && !second.starts_with(['-', '$']) {
            check_model(pair, known, generated.path, found);
        }
    }
}
