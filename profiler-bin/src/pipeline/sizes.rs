//! What fits into the objects by which a cluster passes results on.

use std::collections::BTreeMap;

use dgdr_types::contract::MAX_CONFIG_MAP_BYTES;
use dgdr_types::contract::annotation::MAX_ADDITIONAL_RESOURCES_BYTES;

use crate::artifacts::DEPLOYMENT_FILE;
use crate::error::ProfilerError;

/// What makes curves smaller.
const FEWER_POINTS: &str = "lower --prefill-interpolation-granularity or --decode-interpolation-granularity";

/// Checks results before the first of them is written.
///
/// Returns what the user should know where upstream's operator takes less than a cluster does.
///
/// # Errors
/// [`ProfilerError::TooLarge`] for curves or a deployment that no ConfigMap holds.
pub(super) fn check(
    curve_files: &BTreeMap<&'static str, String>,
    deployment: &str,
) -> Result<Option<String>, ProfilerError> {
    let curves = curve_files
        .iter()
        .map(|(name, text)| name.len() + text.len())
        .sum();
    fits("the curves for the planner", curves, FEWER_POINTS)?;
    fits(DEPLOYMENT_FILE, deployment.len(), FEWER_POINTS)?;
    // The deployment is the last document; what comes before it is what upstream's operator keeps in an annotation.
    let beside = deployment.rfind("\n---\n").unwrap_or(0);
    Ok((beside > MAX_ADDITIONAL_RESOURCES_BYTES).then(|| {
        format!(
            "the ConfigMaps of {DEPLOYMENT_FILE} take {beside} bytes: upstream's operator refuses more than \
             {MAX_ADDITIONAL_RESOURCES_BYTES}; {FEWER_POINTS}"
        )
    }))
}

fn fits(what: &'static str, bytes: usize, advice: &'static str) -> Result<(), ProfilerError> {
    if bytes <= MAX_CONFIG_MAP_BYTES {
        return Ok(());
    }
    Err(ProfilerError::TooLarge {
        what,
        bytes,
        limit: MAX_CONFIG_MAP_BYTES,
        advice,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::check;
    use crate::exit_status::ExitStatus;

    fn curves(bytes: usize) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("decode_raw_data.json", "x".repeat(bytes - 20))])
    }

    #[test]
    fn a_mebibyte_fits_and_a_byte_more_does_not() {
        assert_eq!(check(&curves(1 << 20), "kind: x\n").unwrap(), None);
        let error = check(&curves((1 << 20) + 1), "kind: x\n").unwrap_err();
        insta::assert_snapshot!(error);
        assert_eq!(error.exit_status(), ExitStatus::OutputFailed);
        let error = check(&curves(100), &"x".repeat(1_572_864)).unwrap_err();
        insta::assert_snapshot!(error);
    }

    #[test]
    fn what_upstreams_operator_refuses_is_said() {
        let documents = |bytes: usize| format!("{}\n---\nkind: DynamoGraphDeployment\n", "x".repeat(bytes));
        assert_eq!(check(&curves(100), &documents(250_000)).unwrap(), None);
        let warning = check(&curves(100), &documents(250_001)).unwrap();
        insta::assert_snapshot!(warning.unwrap());
    }
}
