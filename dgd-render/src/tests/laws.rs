//! What holds for every plan.

use dgdr_perf_model::{Backend, MappingWidths, ParallelMapping};
use dgdr_types::dgd::{ConfigMap, DynamoGraphDeployment};
use proptest::prelude::*;

use super::shapes::{plan, planned, worker};
use crate::{PlanLayout, render, to_yaml};

fn mappings() -> impl Strategy<Value = ParallelMapping> {
    (0_u32..4, 0_u32..2, 0_u32..4).prop_map(|(tp, pp, kind)| {
        let width = 1 << tp;
        match kind {
            0 => ParallelMapping::new(MappingWidths {
                tp: width,
                pp: pp + 1,
                attention_dp: 1,
                moe_tp: 1,
                moe_ep: 1,
                cp: 1,
            }),
            1 => ParallelMapping::tep(width * 2),
            2 => ParallelMapping::new(MappingWidths {
                tp: width,
                attention_dp: 2,
                moe_tp: 2,
                moe_ep: width,
                ..MappingWidths::ONE
            }),
            _ => ParallelMapping::dep(width * 2),
        }
        .unwrap()
    })
}

proptest! {
    #[test]
    fn a_manifest_asks_for_exactly_the_planned_gpus(
        backend in prop::sample::select(Backend::ALL.to_vec()),
        prefill in mappings(), decode in mappings(),
        prefill_workers in 1_u32..9, decode_workers in 1_u32..9,
    ) {
        let layout = PlanLayout::Disaggregated {
            prefill: worker(prefill, prefill_workers),
            decode: worker(decode, decode_workers),
        };
        let deployment = render(&plan(backend, layout)).unwrap().deployment;
        let planned = prefill.gpus().get() * prefill_workers + decode.gpus().get() * decode_workers;
        prop_assert_eq!(deployment.gpus(), u64::from(planned));
        for component in &deployment.spec.components {
            prop_assert!(deployment.metadata.name.len() + component.name.len() <= 45);
            let per_pod = component.pod_template.spec.containers[0].resources.as_ref().map(|resources| {
                resources.limits["nvidia.com/gpu"].parse::<u32>().unwrap()
            });
            prop_assert!(per_pod.is_none_or(|gpus| (1..=8).contains(&gpus)));
        }
    }

    #[test]
    fn manifests_read_back_as_they_were_written(
        backend in prop::sample::select(Backend::ALL.to_vec()),
        mapping in mappings(), replicas in 1_u32..9,
    ) {
        let plan = planned(plan(backend, PlanLayout::Aggregated { worker: worker(mapping, replicas) }));
        let manifests = render(&plan).unwrap();
        let text = to_yaml(&manifests).unwrap();
        prop_assert_eq!(&text, &to_yaml(&render(&plan).unwrap()).unwrap());
        let documents: Vec<&str> = text.split("---\n").collect();
        prop_assert_eq!(documents.len(), manifests.config_maps.len() + 1);
        for (document, expected) in documents.iter().zip(&manifests.config_maps) {
            prop_assert_eq!(&serde_saphyr::from_str::<ConfigMap>(document).unwrap(), expected);
        }
        let back: DynamoGraphDeployment = serde_saphyr::from_str(documents[documents.len() - 1]).unwrap();
        prop_assert_eq!(back, manifests.deployment);
    }
}
