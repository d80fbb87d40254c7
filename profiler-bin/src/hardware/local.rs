//! The GPUs of this machine, as `nvidia-smi` lists them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dgdr_units::Gpus;

/// How long the driver may take to answer; a wedged driver must not hold up a simulation.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a slow answer is looked for.
const GLANCE: Duration = Duration::from_millis(10);

/// The GPUs of one machine, all of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalGpus {
    /// Product name, for example `NVIDIA H200`.
    pub product: String,
    /// How many there are.
    pub count: Gpus,
    /// Memory of each, MiB.
    pub memory_mib: u64,
}

/// Asks `program` (normally `nvidia-smi`) what GPUs this machine has; none when it is missing, fails or hangs.
pub fn discover(program: &str) -> Option<LocalGpus> {
    let mut child = Command::new(program)
        .args(["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(None) if started.elapsed() < PATIENCE => std::thread::sleep(GLANCE),
            Ok(_) | Err(_) => {
                // Best effort: a process that cannot be killed is the system's to clean up.
                let _killed = child.kill();
                let _reaped = child.wait();
                return None;
            }
        }
    }
    let output = child.wait_with_output().ok()?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `name, MiB` lines. A mixed machine answers with its most numerous product, the first listed on a tie.
fn parse(text: &str) -> Option<LocalGpus> {
    let mut found: Vec<LocalGpus> = Vec::new();
    for line in text.lines() {
        let Some((product, memory)) = line.rsplit_once(',') else {
            continue;
        };
        let Ok(memory_mib) = memory.trim().parse() else {
            continue;
        };
        let product = product.trim();
        match found.iter_mut().find(|gpus| gpus.product == product) {
            Some(gpus) => gpus.count = gpus.count + Gpus::new(1),
            None => {
                found.push(LocalGpus {
                    product: product.to_owned(),
                    count: Gpus::new(1),
                    memory_mib,
                });
            }
        }
    }
    found.into_iter().rev().max_by_key(|gpus| gpus.count)
}

#[cfg(test)]
mod tests {
    use super::{LocalGpus, discover, parse};
    use dgdr_units::Gpus;

    #[test]
    fn lines_of_one_product_are_counted() {
        let gpus = parse("NVIDIA H200, 143771\nNVIDIA H200, 143771\n").unwrap();
        let expected = LocalGpus {
            product: "NVIDIA H200".to_owned(),
            count: Gpus::new(2),
            memory_mib: 143_771,
        };
        assert_eq!(gpus, expected);
    }

    #[test]
    fn a_mixed_machine_answers_with_its_main_product() {
        let gpus = parse("T4, 16000\nA100, 80000\nA100, 80000\n").unwrap();
        assert_eq!(gpus.product, "A100");
        assert_eq!(parse("A, 1\nB, 1\n").unwrap().product, "A");
    }

    #[test]
    fn noise_is_not_a_gpu() {
        assert_eq!(parse("No devices were found\n"), None);
        assert_eq!(discover("no-such-program-anywhere"), None);
    }
}
