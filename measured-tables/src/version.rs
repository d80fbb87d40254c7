//! Versions as Python packages order them (PEP 440), as far as engines use them.

/// A version that orders as PEP 440 says: `1.3.0rc9 < 1.3.0rc20 < 1.3.0 < 1.3.0.post1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    release: Vec<u64>,
    phase: Phase,
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Dev,
    Alpha,
    Beta,
    Candidate,
    Final,
    Post,
}

const PHASES: [(&str, Phase); 5] = [
    (".dev", Phase::Dev),
    (".post", Phase::Post),
    ("rc", Phase::Candidate),
    ("a", Phase::Alpha),
    ("b", Phase::Beta),
];

impl Version {
    /// Reads a version; none where it is not of this form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (release, phase, number) = PHASES
            .iter()
            .find_map(|(mark, phase)| {
                let (release, number) = text.split_once(mark)?;
                Some((release, *phase, number.parse().ok()?))
            })
            .unwrap_or((text, Phase::Final, 0));
        let mut release: Vec<u64> = release
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        // 1.3 and 1.3.0 are one version.
        while release.last() == Some(&0) {
            release.pop();
        }
        Some(Self {
            release,
            phase,
            number,
        })
    }

    /// The version without its phase.
    pub(crate) fn release(&self) -> &[u64] {
        &self.release
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_order_as_python_orders_them() {
        let ascending = [
            "0.5.6",
            "0.5.6.post2",
            "0.5.9",
            "0.5.10",
            "0.14.0",
            "0.24.0",
            "1.0.0",
            "1.2.0rc5",
            "1.3.0.dev1",
            "1.3.0a2",
            "1.3.0b1",
            "1.3.0rc9",
            "1.3.0rc20",
            "1.3.0",
            "1.3.0.post1",
        ];
        let parsed: Vec<Version> = ascending
            .iter()
            .map(|text| Version::parse(text).unwrap())
            .collect();
        assert!(parsed.windows(2).all(|pair| pair[0] < pair[1]), "{parsed:?}");
        assert_eq!(Version::parse("1.3"), Version::parse("1.3.0"));
        assert_eq!(Version::parse("nightly"), None);
    }
}
