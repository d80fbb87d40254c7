//! The page of a finished run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Sandbox, request, stderr};

/// A finished run.
struct Finished {
    sandbox: Sandbox,
}

impl Finished {
    fn new(config: &str, more: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let config = sandbox.write("dgdr.yaml", config);
        let plain = ["profile", "--config", config.to_str().unwrap(), "--no-plots"];
        let output = sandbox.run(&[&plain[..], more, &["--output-dir", "out"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        Self { sandbox }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path("out").join(name)
    }

    fn page(&self) -> String {
        std::fs::read_to_string(self.path("report.html")).unwrap()
    }

    /// Makes the page anew from the files of the run.
    fn again(&self, more: &[&str]) -> String {
        let output = self.sandbox.run(&[&["report", "out"][..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        self.page()
    }
}

fn mixture() -> String {
    request("Qwen/Qwen3-30B-A3B", "auto")
}

#[test]
fn the_files_of_a_run_give_the_page_that_the_run_wrote() {
    let run = Finished::new(&mixture(), &["--gpu-hour-price", "2.5"]);
    let page = run.page();
    assert!(page.len() < 400_000, "{} bytes", page.len());
    assert!(page.contains("$2.50 per GPU hour"));
    std::fs::remove_file(run.path("report.html")).unwrap();
    assert_eq!(run.again(&[]), page);
    let dearer = run.again(&["--gpu-hour-price", "10"]);
    assert!(dearer.contains("$10.00 per GPU hour") && !dearer.contains("$2.50"));
}

#[test]
fn a_page_is_told_only_of_a_finished_run() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["report", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("nowhere/final_config.yaml"),
        "{}",
        stderr(&output)
    );
    let run = Finished::new(&request("Qwen/Qwen3-8B", "trtllm"), &[]);
    std::fs::write(run.path("profile.json"), "{}").unwrap();
    let output = run.sandbox.run(&["report", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("out/profile.json"),
        "{}",
        stderr(&output)
    );
    let price = run.sandbox.run(&["report", "out", "--gpu-hour-price", "-3"]);
    assert_eq!(price.status.code(), Some(2));
}

/// Everything between tags of these names, in order.
fn between(page: &str, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for piece in page.split('<').skip(1) {
        let (tag, words) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split(' ').next().unwrap_or_default();
        if names.contains(&name) && !words.trim().is_empty() {
            found.push(format!("{name}: {}", words.trim()));
        }
    }
    found
}

#[test]
fn a_page_has_these_parts() {
    let plain = Finished::new(&request("Qwen/Qwen3-32B", "trtllm"), &[]);
    let parts = between(
        &plain.page(),
        &["h1", "h2", "h3", "th", "dt", "figcaption", "summary"],
    );
    // How much room there is is not a matter of the page.
    let parts: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.split(", room").next())
        .collect();
    insta::assert_snapshot!(parts.join("\n"));
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let page = Finished::new(&mixture(), &[]).page();
    for outside in [
        "http://", "https://", "src=", "url(", "@import", "<link", "<img", "<iframe", "fetch(", "import(",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    let mut links = page.match_indices("href=");
    assert!(links.clone().count() > 5);
    assert!(links.all(|(at, _)| page[at..].starts_with("href=\"#")));
}

#[test]
fn names_cannot_smuggle_elements_into_a_page() {
    let run = Finished::new(&request("Qwen/Qwen3-8B", "trtllm"), &[]);
    let hostile = r#"</title><script>alert(\"1\")</script>&'"#;
    for name in ["profile.json", "final_config.yaml"] {
        let text = std::fs::read_to_string(run.path(name)).unwrap();
        assert!(text.contains("Qwen/Qwen3-8B"), "{name}");
        std::fs::write(run.path(name), text.replace("Qwen/Qwen3-8B", hostile)).unwrap();
    }
    let page = run.again(&[]);
    assert!(!page.contains("<script>alert"), "an element got through");
    assert!(page.contains("&lt;/title&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;"));
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
}

#[test]
fn an_unmet_sla_and_other_goals_are_told_too() {
    let closest = Finished::new(
        &request("meta-llama/Meta-Llama-3.1-70B", "trtllm"),
        &["--set", "spec.sla.itl=1"],
    )
    .page();
    assert!(closest.contains("the SLA is NOT met"));
    assert!(closest.contains("relax sla."), "remedies");
    let whole = request("Qwen/Qwen3-32B", "vllm")
        .replace("    ttft: 200.0\n    itl: 20.0\n", "    e2eLatency: 8000.0\n");
    let load = Finished::new(&whole, &["--set", "spec.workload.requestRate=3"]).page();
    assert!(load.contains("request latency ≤ 8000 ms"));
    assert!(load.contains("the fewest GPUs that carry 3"));
    let without = request("Qwen/Qwen3-32B", "vllm").replace(
        "  sla:\n    ttft: 200.0\n    itl: 20.0\n",
        "  sla:\n    optimizationType: throughput\n",
    );
    let throughput = Finished::new(&without, &[]).page();
    assert!(throughput.contains("throughput, whatever the latency"));
}

/// Chromium, where it is installed.
#[expect(clippy::print_stdout, reason = "a skip is said where the suite reads it")]
fn browser(test: &str) -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        println!("skipped: {test}: chromium is missing");
    }
    found
}

/// The document of a page after its scripts ran, and what the browser complained about. Every name resolves to nothing.
fn opened(browser: &str, page: &Path, home: &Path) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
        ])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", home.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect::<Vec<_>>()
        .join("\n");
    (String::from_utf8(output.stdout).unwrap(), complaints)
}

/// What a person would do, done by a script at the end of the page: point with the keys, sort a table.
const PERSON: &str = r#"<script>
const chart = document.querySelector("svg.chart");
chart.focus();
chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
document.documentElement.dataset.told = document.getElementById("tip").textContent;
const table = document.querySelector("table.candidates");
const button = table.querySelectorAll("th button")[2];
const column = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value));
const sorted = (numbers) => numbers.every((value, index) => index === 0 || numbers[index - 1] <= value);
button.click();
const up = sorted(column());
button.click();
document.documentElement.dataset.sorted = up && sorted(column().reverse());
</script>"#;

#[test]
fn a_page_works_in_a_browser_without_a_complaint() {
    let Some(browser) = browser("a_page_works_in_a_browser_without_a_complaint") else {
        return;
    };
    for config in [mixture(), request("Qwen/Qwen3-32B", "trtllm")] {
        let run = Finished::new(&config, &[]);
        let home = run.sandbox.path("browser");
        let (document, complaints) = opened(browser, &run.path("report.html"), &home);
        assert_eq!(complaints, "");
        assert!(document.contains("data-ready=\"true\""), "the script did not end");
        assert!(!document.contains("data-error"), "the script failed");
        assert!(
            document.contains("class=\"copier\""),
            "no button to copy the deployment"
        );
        let used = run.path("used.html");
        std::fs::write(&used, run.page().replace("</body>", &format!("{PERSON}</body>"))).unwrap();
        let (document, complaints) = opened(browser, &used, &home);
        assert_eq!(complaints, "");
        assert!(document.contains("tokens/s per user"), "no tip");
        assert!(document.contains("data-told=\"") && !document.contains("data-told=\"\""));
        assert!(
            document.contains("data-sorted=\"true\""),
            "the table did not sort"
        );
    }
}

#[test]
fn a_browser_reports_what_a_page_asks_of_the_network() {
    let Some(browser) = browser("a_browser_reports_what_a_page_asks_of_the_network") else {
        return;
    };
    // The proof that the test above would notice: the same page with a picture from elsewhere.
    let run = Finished::new(&request("Qwen/Qwen3-8B", "trtllm"), &[]);
    let outside = run.path("outside.html");
    let picture = "<img src=\"https://example.invalid/x.png\"></body>";
    std::fs::write(&outside, run.page().replace("</body>", picture)).unwrap();
    let (_, complaints) = opened(browser, &outside, &run.sandbox.path("browser"));
    assert!(complaints.contains("Content Security Policy"), "{complaints}");
}
