//! Images of an engine's workers, derived from the one image that a request names.

use dgdr_perf_model::Backend;
use dgdr_types::ImageReference;

/// What a request without an image is answered with: the registry of the published runtimes at the version that the
/// profiler guide uses.
pub const DEFAULT_IMAGE: &str = "nvcr.io/nvidia/ai-dynamo/dynamo-planner:0.9.0";

/// Names of published images, any of which stands for its siblings.
const PUBLISHED: [&str; 5] = [
    "vllm-runtime",
    "sglang-runtime",
    "tensorrtllm-runtime",
    "dynamo-planner",
    "dynamo-frontend",
];

/// The image of an engine's workers, and whether it had to be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerImage {
    /// The image.
    pub image: ImageReference,
    /// Why it may not be the right one.
    pub warning: Option<String>,
}

/// The sibling of a published image that holds an engine: same registry, path and tag, another name.
///
/// An image of another name is kept: it is the user's own build, and no sibling of it is known. A digest names one
/// image only, so it is kept only where the name stays.
pub fn worker_image(given: &ImageReference, backend: Backend) -> WorkerImage {
    let wanted = runtime_name(backend);
    let text = given.to_string();
    if given.name() == wanted {
        return WorkerImage {
            image: given.clone(),
            warning: None,
        };
    }
    if !PUBLISHED.contains(&given.name()) {
        let warning = format!(
            "spec.image: {text} is not a published runtime, so it is used for the {backend} workers as it is; it must \
             hold dynamo with {backend}"
        );
        return WorkerImage {
            image: given.clone(),
            warning: Some(warning),
        };
    }
    let without_digest = text.split('@').next().unwrap_or(&text);
    let (path, tag) = match given.tag() {
        Some(tag) => (
            without_digest
                .strip_suffix(tag)
                .unwrap_or(without_digest)
                .trim_end_matches(':'),
            Some(tag),
        ),
        None => (without_digest, None),
    };
    let parent = path.strip_suffix(given.name()).unwrap_or_default();
    let sibling = match tag {
        Some(tag) => format!("{parent}{wanted}:{tag}"),
        None => format!("{parent}{wanted}"),
    };
    let warning = given.digest().map(|digest| {
        format!(
            "spec.image: the digest {digest} names {} only, so {sibling} is used by its tag",
            given.name()
        )
    });
    match sibling.parse() {
        Ok(image) => WorkerImage { image, warning },
        // Made of the parts of a valid reference, so it cannot fail; the given image is the safe answer if it does.
        Err(_) => WorkerImage {
            image: given.clone(),
            warning,
        },
    }
}

const fn runtime_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Vllm => "vllm-runtime",
        Backend::Sglang => "sglang-runtime",
        Backend::Trtllm => "tensorrtllm-runtime",
    }
}

#[cfg(test)]
mod tests {
    use dgdr_perf_model::Backend;

    use super::worker_image;

    #[track_caller]
    fn check(given: &str, backend: Backend, expected: &str) {
        assert_eq!(
            worker_image(&given.parse().unwrap(), backend).image.to_string(),
            expected
        );
    }

    #[test]
    fn siblings_keep_registry_path_and_tag() {
        check(
            "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
            Backend::Vllm,
            "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
        );
        check(
            "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.1.0",
            Backend::Trtllm,
            "nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:1.1.0",
        );
        check(
            "localhost:5000/mirror/vllm-runtime:1",
            Backend::Sglang,
            "localhost:5000/mirror/sglang-runtime:1",
        );
        check("vllm-runtime", Backend::Sglang, "sglang-runtime");
    }

    #[test]
    fn an_own_build_is_kept_and_said_so() {
        let own = worker_image(&"registry.local/team/engine:7".parse().unwrap(), Backend::Vllm);
        assert_eq!(own.image.to_string(), "registry.local/team/engine:7");
        assert!(own.warning.unwrap().contains("must hold dynamo with vllm"));
    }

    #[test]
    fn a_digest_never_moves_to_another_image() {
        let digest = "a".repeat(64);
        let pinned = format!("r.io/x/vllm-runtime:1.0.0@sha256:{digest}");
        check(&pinned, Backend::Vllm, &pinned);
        let sibling = worker_image(&pinned.parse().unwrap(), Backend::Trtllm);
        assert_eq!(sibling.image.to_string(), "r.io/x/tensorrtllm-runtime:1.0.0");
        assert!(sibling.warning.unwrap().contains("digest"));
    }
}
