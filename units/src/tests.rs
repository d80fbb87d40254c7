use proptest::prelude::*;

use crate::{Bytes, Fraction, Gpus, Milliseconds, Tokens, UnitError};

#[test]
fn nonsense_is_refused_with_unit_and_value() {
    let negative = Milliseconds::new(-1.0).unwrap_err();
    assert_eq!(negative.to_string(), "milliseconds must be at least 0, got -1");
    assert!(matches!(
        Milliseconds::new(f64::NAN),
        Err(UnitError::NotFinite { .. })
    ));
    assert!(matches!(Fraction::new(1.5), Err(UnitError::OutOfRange { .. })));
}

#[test]
fn display_carries_the_unit() {
    assert_eq!(Gpus::new(1).to_string(), "1 GPU");
    assert_eq!(Gpus::new(8).to_string(), "8 GPUs");
    assert_eq!(Tokens::new(4000).to_string(), "4000 tokens");
    assert_eq!(format!("{:.1}", Milliseconds::new(2.25).unwrap()), "2.2 ms");
}

#[test]
fn json_refuses_what_the_constructor_refuses() {
    assert!(serde_json::from_str::<Milliseconds>("-3").is_err());
    assert_eq!(
        serde_json::from_str::<Milliseconds>("3").unwrap(),
        Milliseconds::new(3.0).unwrap()
    );
    assert!(serde_json::from_str::<Tokens>("-3").is_err());
}

#[test]
fn counts_saturate_rather_than_wrap() {
    assert_eq!(Gpus::new(u32::MAX) + Gpus::new(1), Gpus::new(u32::MAX));
    assert_eq!(Tokens::new(3).saturating_sub(Tokens::new(5)), Tokens::ZERO);
}

proptest! {
    #[test]
    fn printing_then_parsing_is_identity(value in 0.0_f64..1e12) {
        let unit = Milliseconds::new(value).unwrap();
        let text = serde_json::to_string(&unit).unwrap();
        prop_assert_eq!(serde_json::from_str::<Milliseconds>(&text).unwrap(), unit);
    }

    #[test]
    fn gib_follows_bytes(count in 0_u64..(1 << 50)) {
        let gib = Bytes::new(count).gib();
        prop_assert!((gib * crate::BYTES_PER_GIB - crate::real(count)).abs() < 1.0);
    }
}
