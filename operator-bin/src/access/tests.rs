//! What no role may ever say.

use std::collections::BTreeSet;

use super::{Access, Holder, Part, ROLES, Reach, Rule, Verb};

fn all() -> impl Iterator<Item = (&'static Access, &'static Rule)> {
    static TABLE: [Access; ROLES.len()] = ROLES;
    TABLE
        .iter()
        .flat_map(|access| access.rules().map(move |rule| (access, rule)))
}

#[test]
fn nothing_is_granted_by_wildcard_or_without_a_reason() {
    for (access, rule) in all() {
        let words = [rule.group, rule.resource]
            .into_iter()
            .chain(rule.names.iter().copied());
        assert!(
            words.into_iter().all(|word| !word.contains('*')),
            "{}: {rule:?}",
            access.name
        );
        assert!(!rule.verbs.is_empty(), "{}: {rule:?}", access.name);
        assert!(
            !rule.reason.is_empty() && !rule.reason.ends_with('.'),
            "{}: {rule:?}",
            access.name
        );
        let distinct: BTreeSet<Verb> = rule.verbs.iter().copied().collect();
        assert_eq!(distinct.len(), rule.verbs.len(), "{}: {rule:?}", access.name);
    }
}

#[test]
fn no_rule_is_said_twice_in_a_role() {
    for access in &ROLES {
        let said: Vec<(&str, &str, &[&str], Verb)> = access
            .rules()
            .flat_map(|rule| {
                rule.verbs
                    .iter()
                    .map(|verb| (rule.group, rule.resource, rule.names, *verb))
            })
            .collect();
        let distinct: BTreeSet<_> = said.iter().collect();
        assert_eq!(distinct.len(), said.len(), "{}", access.name);
    }
}

#[test]
fn secrets_are_read_by_name_only() {
    for (access, rule) in all().filter(|(_, rule)| rule.resource == "secrets") {
        assert_eq!(access.reach, Reach::Own, "{}", access.name);
        assert!(
            rule.verbs == [Verb::Create] || rule.names == [super::WEBHOOK_SECRET],
            "{rule:?}"
        );
        assert!(
            !rule.verbs.contains(&Verb::List) && !rule.verbs.contains(&Verb::Watch),
            "{rule:?}"
        );
    }
}

#[test]
fn permissions_are_handed_out_for_named_roles_only() {
    for (access, rule) in all().filter(|(_, rule)| rule.group == "rbac.authorization.k8s.io") {
        assert_eq!(access.part, Part::ClusterScoped, "{}", access.name);
        assert!(!rule.names.is_empty(), "{rule:?}");
        let binds = rule.verbs.contains(&Verb::Bind);
        assert_eq!(binds, rule.resource == "clusterroles", "{rule:?}");
        assert!(!binds || rule.verbs == [Verb::Bind], "{rule:?}");
    }
    let bound: Vec<&str> = all()
        .filter(|(_, rule)| rule.verbs.contains(&Verb::Bind))
        .flat_map(|(_, rule)| rule.names.iter().copied())
        .collect();
    let held: Vec<&str> = ROLES
        .iter()
        .filter(|access| access.holder == Holder::ProfilingJob)
        .map(|access| access.name)
        .collect();
    assert_eq!(bound, held);
}

#[test]
fn an_operator_of_a_namespace_changes_nothing_outside_it() {
    for (access, rule) in all().filter(|(access, _)| access.part != Part::ClusterScoped) {
        if access.reach == Reach::Cluster {
            let is_harmless = rule.verbs.iter().all(|verb| verb.is_reading()) || !rule.names.is_empty();
            assert!(is_harmless, "{}: {rule:?}", access.name);
            assert!(
                matches!(access.part, Part::Nodes | Part::Webhook),
                "{}",
                access.name
            );
        }
    }
}

#[test]
fn a_profiling_job_reads_no_results_and_deletes_nothing_but_its_candidates() {
    for (access, rule) in all().filter(|(access, _)| access.holder == Holder::ProfilingJob) {
        let deletes = rule.verbs.contains(&Verb::Delete);
        assert!(
            !deletes || (access.part == Part::Thorough && rule.resource == "dynamographdeployments"),
            "{}: {rule:?}",
            access.name
        );
        if rule.resource == "configmaps" {
            assert!(!rule.verbs.iter().any(|verb| verb.is_reading()), "{rule:?}");
        }
    }
}
