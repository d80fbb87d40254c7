//! Where we judge otherwise than upstream's Python types, on purpose.

use super::verdict::{Difference, Stricter};

/// A known difference.
struct Allowed {
    /// Who refuses.
    stricter: Stricter,
    /// Part of the reason that the stricter one gives.
    reason: &'static str,
    /// Why we differ.
    why: &'static str,
}

/// All of them.
const ALLOWED: &[Allowed] = &[
    us(
        "unknown field",
        "a misspelt field is refused here, and silently lost there",
    ),
    us("must be a text", QUOTES),
    us("must be a number", QUOTES),
    us("must be a whole number", QUOTES),
    us("must be a boolean", QUOTES),
    us("must be at least 1", RANGES),
    us("must be above 0", RANGES),
    us("must be at least 8192 MiB", RANGES),
    us(
        "spec.features.planner.scheduling: must be an object",
        "the planner happens to fill a null in this one object; leaving it out says the same",
    ),
    us(
        "must not be empty",
        "an empty text names nothing: upstream fails on it later",
    ),
    us(
        "pvcName is required with pvcModelPath",
        "a path within a volume needs the volume: upstream drops both silently",
    ),
    upstream(
        "required in the DGDR spec",
        "image and hardware may be left to us: they are assumed, and said to be",
    ),
    upstream(
        "'hardware.numGpusPerNode' must be a positive integer",
        "the GPUs of a node may be left to us: they are assumed, and said to be",
    ),
    upstream(
        "spec.hardware.gpuSku: enum",
        "product names, and systems of newer releases, are understood here, with a warning",
    ),
    upstream(
        "prefill_min_endpoint and decode_min_endpoint are not supported when",
        ROLES,
    ),
    upstream("_min_endpoint is not supported when mode=", ROLES),
    upstream("SLA must specify either (ttft and itl) or e2eLatency", NULLS),
    upstream("Either both 'ttft' and 'itl', or 'e2eLatency'", NULLS),
    upstream("spec.modelCache.pvcMountPath: string_type", NULLS),
    upstream("spec.overrides.trustRemoteCode: bool_type", NULLS),
    upstream("spec.backend: enum", NULLS),
    upstream("spec.searchStrategy: enum", NULLS),
    upstream(
        "spec.sla: value_error: Value error, ttft and itl must both",
        NULLS,
    ),
];

const QUOTES: &str =
    "a cluster takes no quoted numbers and no numbers for truth values, so we take none; Pydantic converts";
const ROLES: &str =
    "a minimum for workers that the planner's mode does not scale is left out, with a warning";
const NULLS: &str = "a field without a value is unset, as it is in a cluster, and takes its default";
const RANGES: &str =
    "counts and targets of zero or less, and memory in the wrong unit, cannot be planned for";

const fn us(reason: &'static str, why: &'static str) -> Allowed {
    Allowed {
        stricter: Stricter::Us,
        reason,
        why,
    }
}

const fn upstream(reason: &'static str, why: &'static str) -> Allowed {
    Allowed {
        stricter: Stricter::Upstream,
        reason,
        why,
    }
}

/// Why a difference is meant; none when a part of it is unknown.
pub(super) fn why(difference: &Difference<'_>) -> Option<&'static str> {
    let known: Vec<&'static str> = difference
        .reasons
        .iter()
        .map(|reason| {
            ALLOWED
                .iter()
                .find(|allowed| allowed.stricter == difference.stricter && reason.contains(allowed.reason))
                .map(|allowed| allowed.why)
        })
        .collect::<Option<_>>()?;
    known.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(stricter: Stricter, reasons: &[String]) -> Difference<'_> {
        Difference { stricter, reasons }
    }

    #[test]
    fn a_difference_is_known_only_when_all_its_reasons_are() {
        let known = ["spec.sla.itls: unknown field".to_owned()];
        let mixed = [known[0].clone(), "spec.model: must not contain spaces".to_owned()];
        assert!(why(&difference(Stricter::Us, &known)).is_some());
        assert_eq!(why(&difference(Stricter::Us, &mixed)), None);
        // The same words from the other side are something else.
        assert_eq!(why(&difference(Stricter::Upstream, &known)), None);
        assert_eq!(why(&difference(Stricter::Us, &[])), None);
    }
}
