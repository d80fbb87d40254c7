//! Deployments to test with: every engine, layout and feature, and what they are made of.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dgdr_perf_model::memory::FractionBasis;
use dgdr_perf_model::{Backend, KvQuant, MappingWidths, MemoryFraction, ParallelMapping};
use dgdr_types::PlannerSettings;
use dgdr_units::{Fraction, Gpus};
use serde_json::json;

use crate::{
    DEFAULT_IMAGE, DeploymentPlan, MOCKER_TABLE_FILE, MockerPlan, ModelCacheMount, ModelLocation, PlanLayout,
    PlannerInput, PlannerPlan, ProfileData, RouterMode, TokenExchange, TrustRemoteCode, WorkerPlan,
    mocker_image, planner_image, planner_settings, worker_image,
};

pub(crate) fn worker(mapping: ParallelMapping, replicas: u32) -> WorkerPlan {
    WorkerPlan {
        mapping,
        replicas,
        max_batch_size: 512,
        max_num_tokens: 6012,
        max_sequence_length: 40_960,
        memory_fraction: MemoryFraction {
            value: Fraction::new(0.9).unwrap(),
            basis: FractionBasis::Total,
        },
        kv_tokens: 400_000,
        kv: KvQuant::Bfloat16,
        exchange: TokenExchange::Collectives,
    }
}

pub(crate) fn plan(backend: Backend, layout: PlanLayout) -> DeploymentPlan {
    DeploymentPlan {
        name: "qwen3-32b-dgd".to_owned(),
        namespace: None,
        labels: BTreeMap::new(),
        model: ModelLocation {
            id: "Qwen/Qwen3-32B".to_owned(),
            served_name: "Qwen/Qwen3-32B".to_owned(),
            path: None,
            cache: None,
        },
        backend,
        image: worker_image(&DEFAULT_IMAGE.parse().unwrap(), backend).image,
        layout,
        gpus_per_node: NonZeroU32::new(8).unwrap(),
        router: RouterMode::RoundRobin,
        trust: TrustRemoteCode::No,
        runtime_version_override: None,
        tolerations: Vec::new(),
        image_pull_secrets: Vec::new(),
        mocker: None,
        planner: None,
    }
}

/// Curves of no engine.
fn profile() -> ProfileData {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    ProfileData {
        config_map: "planner-profile-data-qwen3-32b".to_owned(),
        files: BTreeMap::from([
            file("prefill_raw_data.json", r#"{"prefill_isl":[128]}"#),
            file("decode_raw_data.json", r#"{"max_kv_tokens":4096}"#),
        ]),
        tables: BTreeMap::new(),
    }
}

/// The plan with a planner that starts from curves.
pub(crate) fn planned(mut plan: DeploymentPlan) -> DeploymentPlan {
    let config = planner_settings(PlannerInput {
        wishes: &PlannerSettings::default(),
        served_name: &plan.model.served_name,
        backend: plan.backend,
        layout: &plan.layout,
        budget: Gpus::new(32),
        targets: None,
    });
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    plan.planner = Some(PlannerPlan {
        image: planner_image(&plan.image).image,
        settings: config.settings,
        config_map: "planner-config-qwen3-32b".to_owned(),
        profile: Some(profile()),
    });
    plan
}

pub(crate) fn aggregated() -> PlanLayout {
    PlanLayout::Aggregated {
        worker: worker(ParallelMapping::tp(2).unwrap(), 4),
    }
}

pub(crate) fn disaggregated() -> PlanLayout {
    PlanLayout::Disaggregated {
        prefill: worker(ParallelMapping::tp(1).unwrap(), 4),
        decode: worker(ParallelMapping::tp(4).unwrap(), 1),
    }
}

/// The plan with simulated engines.
pub(crate) fn simulated(mut plan: DeploymentPlan) -> DeploymentPlan {
    plan.image = mocker_image(&plan.image).image;
    let mut profile = profile();
    profile
        .tables
        .insert(MOCKER_TABLE_FILE.to_owned(), b"PK".to_vec());
    if let Some(planner) = &mut plan.planner {
        planner.profile = Some(profile.clone());
    }
    plan.mocker = Some(MockerPlan { profile });
    plan
}

/// Experts that are dealt out and split, beside attention that is copied.
pub(crate) const MIXED: MappingWidths = MappingWidths {
    attention_dp: 8,
    moe_tp: 2,
    moe_ep: 4,
    ..MappingWidths::ONE
};

/// A feature of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// None.
    Plain,
    /// Weights on a volume.
    Pvc,
    /// A planner.
    Planner,
    /// Simulated engines.
    Mocker,
    /// Routing by KV cache.
    KvRouter,
}

impl Feature {
    pub(crate) const ALL: [Self; 5] = [
        Self::Plain,
        Self::Pvc,
        Self::Planner,
        Self::Mocker,
        Self::KvRouter,
    ];

    /// The plan with the feature.
    pub(crate) fn of(self, mut plan: DeploymentPlan) -> DeploymentPlan {
        match self {
            Self::Plain => plan,
            Self::Pvc => {
                plan.model.path = Some("/opt/model-cache/hub/qwen".to_owned());
                plan.model.cache = Some(ModelCacheMount {
                    claim: "cache".to_owned(),
                    mount_path: "/opt/model-cache".to_owned(),
                });
                plan.tolerations = vec![json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"})];
                plan.image_pull_secrets = vec!["nvcr-imagepullsecret".to_owned()];
                plan
            }
            Self::Planner => planned(plan),
            Self::Mocker => simulated(planned(plan)),
            Self::KvRouter => {
                plan.router = RouterMode::KvAware;
                plan
            }
        }
    }
}

/// Layouts by name: dense and expert-parallel, within a node and across nodes of eight GPUs.
pub(crate) fn layouts() -> Vec<(&'static str, PlanLayout)> {
    let alone = |mapping: ParallelMapping| PlanLayout::Aggregated {
        worker: worker(mapping, 2),
    };
    let pair = |prefill: ParallelMapping, decode: ParallelMapping| PlanLayout::Disaggregated {
        prefill: worker(prefill, 1),
        decode: worker(decode, 2),
    };
    let piped = MappingWidths {
        tp: 8,
        pp: 2,
        ..MappingWidths::ONE
    };
    let piped = ParallelMapping::new(piped).unwrap();
    let tp = |width| ParallelMapping::tp(width).unwrap();
    let tep = |width| ParallelMapping::tep(width).unwrap();
    let dep = |width| ParallelMapping::dep(width).unwrap();
    let mut exchanging = worker(dep(32), 1);
    exchanging.exchange = TokenExchange::Kernels;
    let mixed = PlanLayout::Disaggregated {
        prefill: worker(MIXED.try_into().unwrap(), 2),
        decode: exchanging,
    };
    vec![
        ("agg TP2", alone(tp(2))),
        ("agg TEP8", alone(tep(8))),
        ("agg DEP8", alone(dep(8))),
        ("agg TP8 PP2 on 2 nodes", alone(piped)),
        ("agg TEP16 on 2 nodes", alone(tep(16))),
        ("agg DEP16 on 2 nodes", alone(dep(16))),
        ("disagg TP1 + TP4", pair(tp(1), tp(4))),
        ("disagg TEP4 + DEP8", pair(tep(4), dep(8))),
        ("disagg TEP8 + DEP16 on 2 nodes", pair(tep(8), dep(16))),
        ("disagg TP8 PP2 on 2 nodes + TP8", pair(piped, tp(8))),
        ("disagg mixed 8 + DEP32 on 4 nodes, all-to-all", mixed),
    ]
}

/// Every engine, feature and layout.
pub(crate) fn every_shape() -> Vec<DeploymentPlan> {
    let mut plans = Vec::new();
    for backend in Backend::ALL {
        for feature in Feature::ALL {
            plans.extend(
                layouts()
                    .into_iter()
                    .map(|(_, layout)| feature.of(plan(backend, layout))),
            );
        }
    }
    plans
}
