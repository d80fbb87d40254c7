//! Images of a deployment, derived from the one image that a request names.

use dgdr_perf_model::Backend;
use dgdr_types::{ImageReference, RuntimeVersion};

/// What a request without an image is answered with: the published images of the release whose flags are rendered.
pub const DEFAULT_IMAGE: &str = "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.6.1";

/// The first release whose workers know all flags that are rendered (`--disaggregation-mode` came with 1.0.0,
/// `--trtllm.<path>` with 1.1.0).
const OLDEST_RUNTIME: &str = "1.1.0";

/// Name of the image that holds the planner.
const PLANNER: &str = "dynamo-planner";

/// Names of published images, any of which stands for its siblings.
const PUBLISHED: [&str; 5] = [
    "vllm-runtime",
    "sglang-runtime",
    "tensorrtllm-runtime",
    PLANNER,
    "dynamo-frontend",
];

/// An image of a deployment, and why it may not be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedImage {
    /// The image.
    pub image: ImageReference,
    /// What the user should know of it.
    pub warnings: Vec<String>,
}

/// The image of an engine's workers: the sibling of a published image, same registry, path and tag, another name.
///
/// An image of another name is kept: it is the user's own build, and no sibling of it is known. A digest names one
/// image only, so it is kept only where the name stays.
pub fn worker_image(given: &ImageReference, backend: Backend) -> DerivedImage {
    let mut derived = if PUBLISHED.contains(&given.name()) {
        sibling(given, runtime_name(backend))
    } else {
        let warning = format!(
            "spec.image: {given} is not a published runtime, so it is used for the {backend} workers as it is; it must \
             hold dynamo with {backend}"
        );
        DerivedImage {
            image: given.clone(),
            warnings: vec![warning],
        }
    };
    derived.warnings.extend(too_old(given));
    derived
}

/// The image of the planner: the sibling of any image, since no runtime holds the planner.
pub fn planner_image(given: &ImageReference) -> DerivedImage {
    let mut derived = sibling(given, PLANNER);
    if !PUBLISHED.contains(&given.name()) {
        derived.warnings.push(format!(
            "spec.image: {given} is not a published runtime, so the planner is expected beside it as {}",
            derived.image
        ));
    }
    derived
}

/// The image of simulated engines and their frontend: the planner's, which holds the simulator and all that it needs.
///
/// An image of another name is kept, as for workers.
pub fn mocker_image(given: &ImageReference) -> DerivedImage {
    if PUBLISHED.contains(&given.name()) {
        let mut derived = sibling(given, PLANNER);
        derived.warnings.extend(too_old(given));
        return derived;
    }
    let warning = format!(
        "spec.image: {given} is not a published runtime, so it is used for the simulated workers as it is; it must hold \
         dynamo.mocker with NumPy"
    );
    DerivedImage {
        image: given.clone(),
        warnings: vec![warning],
    }
}

fn sibling(given: &ImageReference, wanted: &str) -> DerivedImage {
    if given.name() == wanted {
        return DerivedImage {
            image: given.clone(),
            warnings: Vec::new(),
        };
    }
    let mut text = given
        .registry()
        .map(|host| format!("{host}/"))
        .unwrap_or_default();
    if let Some((parent, _)) = given.repository().rsplit_once('/') {
        text.push_str(parent);
        text.push('/');
    }
    text.push_str(wanted);
    if let Some(tag) = given.tag() {
        text.push(':');
        text.push_str(tag);
    }
    let warning = given.digest().map(|digest| {
        format!(
            "spec.image: the digest {digest} names {} only, so {text} is used by its tag",
            given.name()
        )
    });
    DerivedImage {
        // Made of the parts of a valid reference, so it parses; the given image is the safe answer if it does not.
        image: text.parse().unwrap_or_else(|_| given.clone()),
        warnings: warning.into_iter().collect(),
    }
}

fn too_old(given: &ImageReference) -> Option<String> {
    let oldest: RuntimeVersion = OLDEST_RUNTIME.parse().ok()?;
    let version = given.tagged_version().filter(|version| *version < oldest)?;
    Some(format!(
        "spec.image: {given} is dynamo {version}, whose workers do not know all flags of the deployment: use \
         {OLDEST_RUNTIME} or newer"
    ))
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

    use super::{DEFAULT_IMAGE, planner_image, worker_image};

    #[track_caller]
    fn check(given: &str, backend: Backend, expected: &str) {
        let derived = worker_image(&given.parse().unwrap(), backend);
        assert_eq!(derived.image.to_string(), expected);
        assert_eq!(derived.warnings, Vec::<String>::new());
    }

    #[test]
    fn siblings_keep_registry_path_and_tag() {
        check(
            DEFAULT_IMAGE,
            Backend::Vllm,
            "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1",
        );
        check(
            "nvcr.io/nvidia/ai-dynamo/dynamo-planner:1.1.0",
            Backend::Trtllm,
            "nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:1.1.0",
        );
        check(
            "localhost:5000/mirror/vllm-runtime:main",
            Backend::Sglang,
            "localhost:5000/mirror/sglang-runtime:main",
        );
        check("vllm-runtime", Backend::Sglang, "sglang-runtime");
        let planner = planner_image(&"r.io/x/sglang-runtime:1.6.1".parse().unwrap());
        assert_eq!(planner.image.to_string(), "r.io/x/dynamo-planner:1.6.1");
        assert!(planner.warnings.is_empty());
    }

    #[test]
    fn an_own_build_is_kept_and_said_so() {
        let given = "registry.local/team/engine:main".parse().unwrap();
        let own = worker_image(&given, Backend::Vllm);
        assert_eq!(own.image, given);
        assert!(
            matches!(own.warnings.as_slice(), [warning] if warning.contains("must hold dynamo with vllm")),
            "{:?}",
            own.warnings
        );
        let planner = planner_image(&given);
        assert_eq!(
            planner.image.to_string(),
            "registry.local/team/dynamo-planner:main"
        );
        assert_eq!(planner.warnings.len(), 1);
    }

    #[test]
    fn a_digest_never_moves_to_another_image() {
        let digest = "a".repeat(64);
        let pinned = format!("r.io/x/vllm-runtime:1.2.0@sha256:{digest}");
        check(&pinned, Backend::Vllm, &pinned);
        let sibling = worker_image(&pinned.parse().unwrap(), Backend::Trtllm);
        assert_eq!(sibling.image.to_string(), "r.io/x/tensorrtllm-runtime:1.2.0");
        assert!(
            matches!(sibling.warnings.as_slice(), [warning] if warning.contains("digest")),
            "{:?}",
            sibling.warnings
        );
    }

    #[test]
    fn releases_that_lack_the_flags_are_named() {
        let old = worker_image(
            &"nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0".parse().unwrap(),
            Backend::Vllm,
        );
        assert_eq!(
            old.warnings,
            [
                "spec.image: nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0 is dynamo 0.9.0, whose workers do not know all \
              flags of the deployment: use 1.1.0 or newer"
            ]
        );
    }
}
