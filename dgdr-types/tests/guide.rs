//! Every DGDR of the profiler guide is read, and means what the guide says.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dgdr_types::{RawRequest, ResolvedRequest, parse_request, resolve};

    fn guide() -> Option<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/profiler-guide.md");
        std::fs::read_to_string(path).ok()
    }

    /// The YAML blocks that are (parts of) a DGDR, each made a whole request.
    fn requests(guide: &str) -> Vec<(String, RawRequest)> {
        guide
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .filter(|block| !block.contains("labels:") && !block.contains("{ ... }"))
            .map(|block| {
                let block = block.replace("<model-name>", "Qwen/Qwen3-0.6B");
                let mut document = parse_request(&block).unwrap().document().clone();
                let spec = document["spec"].as_object_mut().unwrap();
                spec.entry("model").or_insert_with(|| "Qwen/Qwen3-0.6B".into());
                // `thorough` alone means the default `auto` backend, which upstream refuses too.
                if spec
                    .get("searchStrategy")
                    .is_some_and(|strategy| strategy == "thorough")
                {
                    spec.entry("backend").or_insert_with(|| "vllm".into());
                }
                (block, RawRequest::from_value(document))
            })
            .collect()
    }

    #[test]
    fn every_request_of_the_guide_is_accepted() {
        let Some(guide) = guide() else {
            println!("skipped: every_request_of_the_guide_is_accepted: ../shared is missing");
            return;
        };
        let requests = requests(&guide);
        assert!(requests.len() >= 13, "only {} requests found", requests.len());
        let resolved: Vec<ResolvedRequest> = requests
            .iter()
            .map(|(block, raw)| resolve(raw).unwrap_or_else(|error| panic!("{error}\n{block}")))
            .collect();
        assert!(
            resolved
                .iter()
                .any(|request| request.hardware.vram_mib == Some(81_920))
        );
        assert!(
            resolved
                .iter()
                .any(|request| request.hardware.max_gpus_per_engine.is_some())
        );
        assert!(
            resolved
                .iter()
                .any(|request| request.overrides.profiling_job.is_some())
        );
        let planner = resolved
            .iter()
            .find_map(|request| request.features.planner.clone())
            .unwrap();
        assert_eq!(planner.get("min_endpoint"), Some(&2.into()));
    }
}
