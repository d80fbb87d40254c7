//! Requests: the same verdict from both, and what we print is what upstream reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Bench;
use super::script::{self, Finding, Script};
use crate::dice::Dice;
use crate::workspace;

mod allowed;
mod damage;
pub(super) mod draw;
pub(super) mod verdict;

use verdict::{Difference, Verdict};

/// Damaged variants of each request.
const VARIANTS: usize = 20;
/// Requests whose planner settings are drawn.
const SETTINGS: usize = 1000;
/// Requests that are drawn, printed and read by upstream.
const DRAWN: usize = 200;

pub(super) fn check(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let theirs = upstreams_requests(bench)?;
    let mut findings = same_verdicts(bench, &theirs)?;
    findings.extend(damaged(bench, &theirs)?);
    findings.extend(planner_settings(bench)?);
    findings.extend(printed(bench, &theirs)?);
    Ok(findings)
}

/// A request as text, and where it is from.
#[derive(Debug, Clone)]
struct Text {
    name: String,
    text: String,
}

/// The requests that upstream's own tests are made with.
fn upstreams_requests(bench: &Bench) -> anyhow::Result<Vec<Text>> {
    let package = bench
        .peer
        .package("dynamo")
        .context("ai-dynamo is not installed")?;
    let texts = yaml_files(&package.join("profiler/tests/data/configs"))?;
    ensure!(
        texts.len() >= 10,
        "ai-dynamo has only {} requests of its own",
        texts.len()
    );
    Ok(texts)
}

fn yaml_files(folder: &Path) -> anyhow::Result<Vec<Text>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            Ok(Text {
                name: path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                text: fs::read_to_string(&path)?,
            })
        })
        .collect()
}

/// Upstream's verdict on each document: a text, or a spec.
fn judged_upstream(bench: &Bench, name: &'static str, documents: &[Value]) -> anyhow::Result<Vec<Verdict>> {
    let script = Script {
        name,
        text: include_str!("dgdr.py"),
    };
    let question = json!({ "documents": documents });
    let verdicts: Vec<Verdict> = script::ask(&bench.peer, &bench.folder, script, &question)?;
    ensure!(
        verdicts.len() == documents.len(),
        "{} verdicts on {} documents",
        verdicts.len(),
        documents.len()
    );
    Ok(verdicts)
}

/// Each of upstream's requests as it is.
fn same_verdicts(bench: &Bench, texts: &[Text]) -> anyhow::Result<Vec<Finding>> {
    let documents: Vec<Value> = texts.iter().map(|text| json!({ "text": text.text })).collect();
    let theirs = judged_upstream(bench, "dgdr_verdicts", &documents)?;
    Ok(texts
        .iter()
        .zip(theirs)
        .map(|(text, theirs)| {
            let ours = Verdict::ours(&text.text);
            Finding {
                subject: text.name.clone(),
                passed: ours.accepted == theirs.accepted,
                detail: if ours.accepted == theirs.accepted {
                    format!("both {}", ours.word())
                } else {
                    format!("we {ours}; upstream {theirs}")
                },
            }
        })
        .collect())
}

/// Damaged variants of upstream's requests.
fn damaged(bench: &Bench, texts: &[Text]) -> anyhow::Result<Vec<Finding>> {
    let mut dice = Dice::new(bench.seed);
    let mut documents = Vec::new();
    for text in texts {
        let spec = spec_of(&text.text)?;
        documents.extend((0..VARIANTS).map(|_| damage::damaged(&spec, &mut dice)));
    }
    compared(bench, "damaged requests", &documents)
}

/// Requests whose planner is set in every way that there is, rightly and wrongly.
fn planner_settings(bench: &Bench) -> anyhow::Result<Vec<Finding>> {
    let mut dice = Dice::new(bench.seed);
    let documents: Vec<Value> = (0..SETTINGS).map(|_| draw::with_planner(&mut dice)).collect();
    compared(bench, "requests with planner settings", &documents)
}

/// Verdicts on specs: differences by cause, each of which must be a known one.
fn compared(bench: &Bench, what: &'static str, documents: &[Value]) -> anyhow::Result<Vec<Finding>> {
    let asked: Vec<Value> = documents.iter().map(|spec| json!({ "spec": spec })).collect();
    let theirs = judged_upstream(bench, "dgdr_compared", &asked)?;
    let mut causes: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut unknown: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    let mut agreed = 0_usize;
    let mut refused = 0_usize;
    for (document, theirs) in documents.iter().zip(&theirs) {
        let ours = Verdict::ours(&document.to_string());
        refused += usize::from(!theirs.accepted);
        if ours.accepted == theirs.accepted {
            agreed += 1;
            continue;
        }
        let difference = Difference::of(&ours, theirs);
        match allowed::why(&difference) {
            Some(reason) => *causes.entry(reason).or_default() += 1,
            None => unknown
                .entry(format!("we {ours}; upstream {theirs}"))
                .or_default()
                .push(document),
        }
    }
    let mut findings = vec![Finding {
        subject: format!("{} {what}", documents.len()),
        passed: agreed > documents.len() / 2 && (1..documents.len()).contains(&refused),
        detail: format!(
            "{agreed} with one verdict, {} with a known difference; upstream refuses {refused}",
            causes.values().sum::<usize>()
        ),
    }];
    findings.extend(causes.into_iter().map(|(reason, count)| Finding {
        subject: format!("known difference, {count} times"),
        passed: true,
        detail: reason.to_owned(),
    }));
    findings.extend(unknown.into_iter().map(|(difference, documents)| {
        Finding {
            subject: format!("unexplained difference, {} times", documents.len()),
            passed: false,
            detail: documents
                .first()
                .map_or_else(String::new, |document| format!("{difference}: {document}")),
        }
    }));
    Ok(findings)
}

/// The spec of a request's text.
fn spec_of(text: &str) -> anyhow::Result<Value> {
    let raw = dgdr_types::parse_request(text)?;
    raw.document()
        .get("spec")
        .cloned()
        .context("a request without a spec")
}

/// What we print of requests, read by upstream: all values must arrive.
fn printed(bench: &Bench, upstreams: &[Text]) -> anyhow::Result<Vec<Finding>> {
    let mut texts = yaml_files(&workspace::root().join("deploy/samples"))?;
    texts.extend(upstreams.iter().cloned());
    texts.extend(bench.runs.iter().map(|run| Text {
        name: run.name.to_owned(),
        text: run.request.to_owned(),
    }));
    texts.extend(guide()?);
    let named = texts.len();
    let mut dice = Dice::new(bench.seed);
    texts.extend((0..DRAWN).map(|number| Text {
        name: format!("drawn {number}"),
        text: draw::spec(&mut dice).to_string(),
    }));
    let mut printed = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match dgdr_types::parse_request(&text.text).and_then(|raw| dgdr_types::resolve(&raw)) {
            Ok(resolved) => printed.push((text.name.clone(), resolved.to_yaml()?)),
            Err(error) => ensure!(
                index < named,
                "{} is drawn to be valid: {error}\n{}",
                text.name,
                text.text
            ),
        }
    }
    let asked: Vec<Value> = printed
        .iter()
        .map(|(_, text)| json!({ "text": text, "values": true }))
        .collect();
    let theirs = judged_upstream(bench, "dgdr_printed", &asked)?;
    let wrong = printed.iter().zip(&theirs).filter(|(_, theirs)| !theirs.accepted);
    let mut findings: Vec<Finding> = wrong
        .map(|((name, _), theirs)| Finding {
            subject: format!("{name}, printed"),
            passed: false,
            detail: format!("upstream {theirs}"),
        })
        .collect();
    findings.push(Finding {
        subject: format!("{} requests, printed", printed.len()),
        passed: findings.is_empty(),
        detail: format!(
            "upstream reads {} of them with every value as it was meant",
            printed.len() - findings.len()
        ),
    });
    Ok(findings)
}

/// The requests of the profiler guide, where the guide lies beside the workspace.
fn guide() -> anyhow::Result<Vec<Text>> {
    let path = workspace::root().join("../shared/profiler-guide.md");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let guide = fs::read_to_string(path)?;
    Ok(guide
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.starts_with("apiVersion") && !block.contains("{ ... }"))
        .enumerate()
        .map(|(number, block)| Text {
            name: format!("guide {number}"),
            text: block.replace("<model-name>", "Qwen/Qwen3-0.6B"),
        })
        .collect())
}
