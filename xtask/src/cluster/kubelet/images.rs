//! Which programs of this machine stand for an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What an image would hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// What its name begins with.
    pub(crate) prefix: String,
    /// What it runs where a pod names no command.
    pub(crate) entrypoint: Vec<String>,
    /// Its programs, by the first word of a command; all others are those of this machine.
    pub(crate) programs: BTreeMap<String, PathBuf>,
}

/// All images that can be pulled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Images(pub(crate) Vec<Image>);

/// A container's command, with its program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invocation {
    /// A file of this machine that stands for the program; none where it is looked up by its name.
    pub(crate) file: Option<PathBuf>,
    /// The command with its arguments.
    pub(crate) words: Vec<String>,
}

/// The parts of a container that say what it runs, expanded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command<'a> {
    /// Of the pod, instead of the image's entry point.
    pub(crate) command: &'a [String],
    /// Its arguments.
    pub(crate) args: &'a [String],
}

impl Images {
    /// The image of that name: the entry with the longest prefix.
    pub(crate) fn pull(&self, name: &str) -> Option<&Image> {
        self.0
            .iter()
            .filter(|image| name.starts_with(&image.prefix))
            .max_by_key(|image| image.prefix.len())
    }
}

impl Image {
    /// What a container of this image runs; none where neither it nor the pod says anything.
    pub(crate) fn invocation(&self, command: Command<'_>) -> Option<Invocation> {
        let start = if command.command.is_empty() {
            &self.entrypoint
        } else {
            command.command
        };
        let words: Vec<String> = start.iter().chain(command.args).cloned().collect();
        let file = self.programs.get(words.first()?).cloned();
        Some(Invocation { file, words })
    }
}

/// What a kubelet says of an image that no registry has.
pub(crate) fn pull_failure(image: &str) -> String {
    format!(
        "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let image = |prefix: &str, program: &str| Image {
            prefix: prefix.to_owned(),
            entrypoint: vec!["serve".to_owned()],
            programs: BTreeMap::from([("serve".to_owned(), program.into())]),
        };
        Images(vec![
            image("registry.example/", "all"),
            image("registry.example/profiler:", "one"),
        ])
    }

    #[test]
    fn the_longest_prefix_wins() {
        let images = images();
        let file = |name: &str| images.pull(name).map(|image| image.programs["serve"].clone());
        assert_eq!(file("registry.example/profiler:1.0"), Some("one".into()));
        assert_eq!(file("registry.example/planner:1.0"), Some("all".into()));
        assert_eq!(file("elsewhere.example/profiler:1.0"), None);
    }

    #[test]
    fn a_pods_command_replaces_the_entry_point_and_its_arguments_follow() {
        let images = images();
        let image = images.pull("registry.example/x").unwrap();
        let words = |command: &[&str], args: &[&str]| {
            let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            image.invocation(Command {
                command: &own(command),
                args: &own(args),
            })
        };
        assert_eq!(words(&[], &["--fast"]).unwrap().words, ["serve", "--fast"]);
        let shell = words(&["sh", "-c"], &["exit"]).unwrap();
        assert_eq!((shell.file, shell.words.len()), (None, 3));
        let silent = Image::default();
        let nothing = Command {
            command: &[],
            args: &[],
        };
        assert_eq!(silent.invocation(nothing), None);
    }
}
