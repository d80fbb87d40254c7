use approx::assert_relative_eq;
use proptest::prelude::*;

use super::{Axis, Beyond, OperatorLatency, Provenance, Source, SourceKind};

fn latency(ms: f64, source: Source) -> OperatorLatency {
    OperatorLatency { ms, source }
}

#[test]
fn a_distance_is_the_ratio_of_coordinates_either_way() {
    for (measured, asked) in [(1024, 4096), (4096, 1024)] {
        let beyond = Beyond::new(Axis::Tokens, measured, asked);
        assert_relative_eq!(beyond.ratio(), 4.0);
        assert_eq!(beyond.to_string(), "4.0 times on tokens");
    }
    assert_relative_eq!(Beyond::new(Axis::Prefix, 0, 8).octaves(), 3.0);
}

#[test]
fn of_two_extrapolations_the_farther_one_is_the_worse() {
    let near = Source::extrapolated(Axis::Sequence, 100, 200);
    let far = Source::extrapolated(Axis::Batch, 100, 800);
    assert_eq!(near.worse(far), far);
    assert_eq!(far.worse(near), far);
    assert_eq!(near.worse(Source::Measured), near);
    assert_eq!(near.worse(Source::Roofline), Source::Roofline);
    assert_eq!(Source::Analytic.worse(Source::Measured), Source::Measured);
}

#[test]
fn shares_and_the_farthest_extrapolation_are_written() {
    let mut provenance = Provenance::default();
    provenance.add(latency(3.0, Source::Measured));
    provenance.add(latency(0.5, Source::extrapolated(Axis::Tokens, 1000, 2000)));
    let mut weighted = Provenance::default();
    weighted.add(latency(1.0, Source::extrapolated(Axis::Gpus, 8, 32)));
    let mut ignored = provenance;
    ignored.merge(&weighted, 0.0);
    assert_eq!(ignored, provenance, "what does not count says nothing");
    provenance.merge(&weighted, 0.5);
    assert_eq!(provenance.worst(), SourceKind::Extrapolated);
    assert_eq!(
        serde_json::to_string(&provenance).unwrap(),
        r#"{"measured":0.75,"extrapolated":0.25,"farthest":{"axis":"gpus","ratio":4.0}}"#
    );
}

proptest! {
    #[test]
    fn a_distance_survives_its_compact_form(octaves in 0.0_f64..200.0) {
        let kept = Beyond::of_octaves(Axis::Elements, octaves).octaves();
        prop_assert!((kept - octaves).abs() <= 0.5 / 256.0 + 1e-12);
    }
}

#[test]
fn what_was_written_is_read_again() {
    for text in [
        r#"{"measured":0.25,"roofline":0.75}"#,
        r#"{"interpolated":0.9,"extrapolated":0.1,"farthest":{"axis":"features","ratio":1.16}}"#,
        "{}",
    ] {
        let read: Provenance = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
