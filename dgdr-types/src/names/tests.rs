use proptest::prelude::*;

use super::*;

fn name(text: &str) -> DgdrName {
    DgdrName::new(text).unwrap()
}

#[test]
fn short_names_are_upstreams() {
    let dgdr = name("my-model");
    assert_eq!(job_name(&dgdr), "profile-my-model");
    assert_eq!(output_config_map_name(&dgdr), "dgdr-output-my-model");
    assert_eq!(dgd_name(&dgdr), "my-model-dgd");
}

#[test]
fn long_names_with_one_head_stay_apart() {
    let first = name(&format!("{}a", "x".repeat(62)));
    let second = name(&format!("{}b", "x".repeat(62)));
    assert_ne!(job_name(&first), job_name(&second));
    assert_ne!(dgd_name(&first), dgd_name(&second));
}

#[test]
fn what_is_no_dns_label_is_no_name() {
    for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"x".repeat(64)] {
        assert!(DgdrName::new(bad).is_err(), "{bad:?} was accepted");
    }
}

proptest! {
    #[test]
    fn every_name_stays_within_its_limit(text in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?") {
        let dgdr = name(&text);
        prop_assert!(is_dns_label(&job_name(&dgdr)));
        prop_assert!(is_dns_label(&dgd_name(&dgdr)));
        prop_assert!(dgd_name(&dgdr).len() + LONGEST_COMPONENT <= MAX_DGD_AND_COMPONENT);
    }
}

#[test]
fn generated_config_maps_are_known_by_all_their_names() {
    let dgdr = DgdrName::new("qwen").unwrap();
    let ours = [
        planner_config_map_name(&dgdr),
        profile_data_config_map_name(&dgdr),
    ];
    for (name, kind) in [
        (ours[0].as_str(), Some(PlannerConfigMap::Settings)),
        (ours[1].as_str(), Some(PlannerConfigMap::ProfileData)),
        ("planner-config", Some(PlannerConfigMap::Settings)),
        ("planner-profile-data", Some(PlannerConfigMap::ProfileData)),
        ("planner-config-1f0a", Some(PlannerConfigMap::Settings)),
        ("planner-profile-data-00ff", Some(PlannerConfigMap::ProfileData)),
        ("planner-config-other", None),
        ("planner-profile-data-12345", None),
        ("planner", None),
    ] {
        assert_eq!(planner_config_map(name, Some(&dgdr)), kind, "{name}");
    }
    assert_eq!(planner_config_map(&ours[0], None), None);
}
