//! Profilers that do not do what they should: each ends in Failed, with the cause.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::cluster::kubelet::images::Image;
use crate::e2e::bench::Bench;
use crate::e2e::finding::Findings;
use crate::e2e::operator::Starter;
use crate::e2e::requests::{At, condition, phase};

/// What the names of images begin with that hold them.
const IMAGES: &str = "broken.example/";
/// How long profiling may take.
const DEADLINE: &str = "--profiling-deadline=15s";
/// How long until a failure is told.
const MOST: Duration = Duration::from_mins(1);

struct Broken {
    name: &'static str,
    subject: &'static str,
    script: &'static str,
    /// What the user reads.
    reason: &'static str,
    words: &'static [&'static str],
}

const ALL: [Broken; 5] = [
    Broken {
        name: "crash",
        subject: "a profiler that crashes",
        script: "echo 'the tables are on fire' >&2\nkill -SEGV $$\n",
        reason: "InitializingFailed",
        words: &["exit code 139", "the tables are on fire"],
    },
    Broken {
        name: "confession",
        subject: "a profiler that says why it fails",
        script: "printf 'status: failed\\nphase: SweepingDecode\\nmessage: no\\nerror: \"no GPU answers\"\\n' > /data/profiler_status.yaml\n\
                 exit 4\n",
        reason: "SweepingDecodeFailed",
        words: &["profiling failed: no GPU answers"],
    },
    Broken {
        name: "hang",
        subject: "a profiler that hangs",
        script: "printf 'status: running\\nphase: SweepingPrefill\\nmessage: candidate 1 of 9\\n' > /data/profiler_status.yaml\n\
                 exec sleep 600\n",
        reason: "SweepingPrefillFailed",
        words: &["no result", "15 s"],
    },
    Broken {
        name: "half",
        subject: "a profiler that writes half a status file",
        script: "printf 'status: succ' > /data/profiler_status.yaml\n",
        reason: "InitializingFailed",
        words: &["profiler_status.yaml: status is \"succ\""],
    },
    Broken {
        name: "huge",
        subject: "a profiler whose result has 2 MiB",
        script: "head -c 2097152 /dev/zero | tr '\\0' 'x' > /data/final_config.yaml\n\
                 printf 'status: success\\nphase: Done\\nmessage: done\\n' > /data/profiler_status.yaml\n",
        reason: "DoneFailed",
        words: &["final_config.yaml", "2097152"],
    },
];

/// Images that hold them; their programs are written to `folder`.
pub(super) fn images(folder: &Path) -> anyhow::Result<Vec<Image>> {
    fs::create_dir_all(folder)?;
    ALL.iter()
        .map(|broken| {
            let path = folder.join(broken.name);
            fs::write(&path, format!("#!/bin/sh\n{}", broken.script))
                .with_context(|| format!("cannot write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            Ok(Image {
                prefix: format!("{IMAGES}{}", broken.name),
                entrypoint: Vec::new(),
                programs: BTreeMap::from([("dgdr-profiler".to_owned(), path)]),
            })
        })
        .collect()
}

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let operator = Starter::new(bench, "broken-profilers")
        .with(&["--leader-election=false", DEADLINE])
        .start()
        .await?;
    bench.namespace("broken-profilers").await?;
    for broken in &ALL {
        let image = format!("{IMAGES}{}:1", broken.name);
        let profiler = json!([{ "name": "profiler", "image": image }]);
        let spec = json!({
            "model": "Qwen/Qwen3-0.6B",
            "backend": "vllm",
            "image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
            "overrides": { "profilingJob": { "template": { "spec": { "containers": profiler } } } },
        });
        bench.ask(at(broken), &spec).await?;
    }
    for broken in &ALL {
        findings.step(broken.subject, told(bench, broken)).await?;
    }
    drop(operator);
    Ok(())
}

const fn at(broken: &Broken) -> At<'static> {
    At {
        namespace: "broken-profilers",
        name: broken.name,
    }
}

/// What the user is told of it.
async fn told(bench: &Bench, broken: &Broken) -> anyhow::Result<String> {
    let failed = bench
        .wait_until(at(broken), MOST, |object| phase(object) == "Failed")
        .await?;
    let profiling = condition(&failed, "Profiling");
    let message = profiling["message"].as_str().unwrap_or_default();
    ensure!(
        profiling["reason"] == broken.reason,
        "the reason is {}, with {message}",
        profiling["reason"]
    );
    for word in broken.words {
        ensure!(message.contains(word), "the message lacks {word:?}: {message}");
    }
    let aggregate = condition(&failed, "Succeeded");
    ensure!(
        aggregate["message"] == format!("Profiling failed: {message}"),
        "Succeeded says {}",
        aggregate["message"]
    );
    Ok(message.to_owned())
}
