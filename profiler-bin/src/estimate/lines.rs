//! Many questions at once: a JSON object a line in, an answer a line out.

use serde::Serialize;

use super::{EstimatePoint, Estimator};
use crate::error::ProfilerError;
use crate::parallel;

/// A line that could not be answered; the ones after it still are.
#[derive(Debug, Serialize)]
struct FailedLine {
    error: LineError,
}

#[derive(Debug, Serialize)]
struct LineError {
    code: &'static str,
    message: String,
    hints: Vec<String>,
}

impl From<ProfilerError> for LineError {
    fn from(error: ProfilerError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hints: error.hints(),
        }
    }
}

impl From<serde_json::Error> for LineError {
    fn from(error: serde_json::Error) -> Self {
        Self {
            code: "invalid-line",
            message: error.to_string(),
            hints: vec![
                "write one JSON object a line, keys as the options of `estimate` in snake case".to_owned(),
            ],
        }
    }
}

impl Estimator {
    /// Answers JSON lines in their order, one each, on several threads.
    ///
    /// # Errors
    /// [`ProfilerError::Encode`] for an answer that cannot be written.
    pub fn answer_lines(&mut self, lines: &[String]) -> Result<Vec<String>, ProfilerError> {
        let mut find = |line: &String| -> Result<_, LineError> {
            let point: EstimatePoint = serde_json::from_str(line)?;
            Ok(self.find(&point)?)
        };
        let found: Vec<_> = lines.iter().map(&mut find).collect();
        let answers = parallel::map(self.threads, found, |found| {
            match found.and_then(|found| Ok(found.answer()?)) {
                Ok(prediction) => serde_json::to_string(&prediction),
                Err(error) => serde_json::to_string(&FailedLine { error }),
            }
        });
        let encoded: Result<Vec<String>, serde_json::Error> = answers.into_iter().collect();
        encoded.map_err(|error| ProfilerError::Encode {
            what: "an answer",
            problem: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::KernelTables;

    /// Questions that share engines and some that make no sense, in disorder.
    fn lines() -> Vec<String> {
        let models = [
            "Qwen/Qwen3-8B",
            "Qwen/Qwen3-30B-A3B",
            "deepseek-ai/DeepSeek-V3",
            "openai/gpt-oss-120b",
        ];
        let modes = ["static_ctx", "static_gen", "agg", "disagg", "nonsense"];
        (0..120_usize)
            .map(|number| {
                format!(
                    r#"{{"model":"{}","system":"h200_sxm","backend":"{}","mode":"{}","isl":{},"osl":{},"batch_size":{},"tp":{}}}"#,
                    models[number % 4],
                    ["trtllm", "vllm", "sglang"][number / 4 % 3],
                    modes[number * 7 % 5],
                    500 + 37 * number,
                    2 + number,
                    1 + number % 9,
                    [4, 8][number / 12 % 2],
                )
            })
            .collect()
    }

    fn answers(threads: usize, together: usize) -> Vec<String> {
        let threads = NonZeroUsize::new(threads).unwrap();
        let mut estimator = Estimator::new(KernelTables::default()).with_threads(threads);
        let mut answers = Vec::new();
        for lines in lines().chunks(together) {
            answers.extend(estimator.answer_lines(lines).unwrap());
        }
        answers
    }

    #[test]
    fn lines_are_answered_alike_by_any_number_of_threads_and_however_many_together() {
        let one_by_one = answers(1, 1);
        assert_eq!(one_by_one.len(), 120);
        assert!(one_by_one.iter().any(|answer| answer.contains("error")));
        assert!(one_by_one.iter().any(|answer| answer.contains("ttft")));
        for (threads, together) in [(1, 200), (2, 50), (3, 200), (16, 7)] {
            assert_eq!(answers(threads, together), one_by_one, "{threads} threads");
        }
    }
}
