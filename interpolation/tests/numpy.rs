//! NumPy reads what we write.
#![cfg(feature = "npz")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dgdr_interpolation::npz;
use std::num::NonZeroU32;

/// Prints dtype, shape and numbers of each array, and fails on anything that NumPy would not load by default.
const SCRIPT: &str = "
import sys, numpy
for path in sys.argv[1:]:
    with numpy.load(path, allow_pickle=False) as data:
        for name in data.files:
            print(name, data[name].dtype, data[name].shape, data[name].ravel().tolist()[:2])
";

/// A Python with NumPy, made once under the build directory; `None` (with the reason) when that is impossible here.
fn python() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("numpy-venv");
    let python = venv.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| -> Result<(), String> {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    if run(&python, &["-c", "import numpy"]).is_err() {
        run(Path::new("python3"), &["-m", "venv", &venv.to_string_lossy()])?;
        run(&python, &["-m", "pip", "install", "--quiet", "numpy"])?;
    }
    Ok(python)
}

#[test]
fn numpy_reads_both_files() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: numpy_reads_both_files: no python3 with numpy ({reason})");
            return;
        }
    };
    let curve = npz::read_prefill(include_bytes!("h200_tp1/prefill_raw_data.npz")).expect("upstream's file");
    let surface = npz::read_decode(include_bytes!("h200_tp1/decode_raw_data.npz")).expect("upstream's file");
    let files = [
        ("ours_prefill.npz", npz::write_prefill(&curve).expect("written")),
        ("ours_decode.npz", npz::write_decode(&surface).expect("written")),
        (
            "ours_mocker.npz",
            npz::write_mocker(&curve, &surface, NonZeroU32::MIN).expect("written"),
        ),
    ]
    .map(|(name, bytes)| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, bytes).expect("a file in the build directory");
        path
    });
    let output = Command::new(python)
        .arg("-c")
        .arg(SCRIPT)
        .args(&files)
        .output()
        .expect("python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout), @r"
    prefill_isl int64 (17,) [100, 1117]
    prefill_ttft float64 (17,) [19.525209, 38.494130999999996]
    prefill_thpt_per_gpu float64 (17,) [5121.58410186544, 29017.410472261345]
    x_kv_usage float64 (41,) [0.00037035900485593565, 0.09740441827711108]
    y_context_length float64 (41,) [350.0, 350.0]
    z_itl float64 (41,) [4.379871, 19.11118175665399]
    z_thpt_per_gpu float64 (41,) [226.91981992754495, 13423.748520247656]
    max_kv_tokens int64 (1,) [945029]
    prefill_isl float64 (65,) [100.0, 355.0]
    prefill_ttft_ms float64 (65,) [18.023978798761604, 21.944601377757902]
    decode_active_kv_tokens float64 (39,) [0.0, 461.43994140625]
    decode_context_length float64 (21,) [350.0, 598.7185568506649]
    decode_itl float64 (39, 21) [4.379871, 4.4095988809450954]
    ");
}
