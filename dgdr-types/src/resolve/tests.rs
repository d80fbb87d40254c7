use super::*;
use crate::gpu_sku::GpuSku;
use crate::parse::parse_request;
use crate::resolved::PlannerSettings;

fn resolve_text(text: &str) -> Result<ResolvedRequest, DgdrError> {
    resolve(&parse_request(text)?)
}

#[track_caller]
fn faults(text: &str) -> String {
    resolve_text(text).unwrap_err().to_string()
}

fn ms(value: f64) -> Milliseconds {
    Milliseconds::new(value).unwrap()
}

#[test]
fn the_smallest_request_takes_every_default() {
    let request = resolve_text("model: Qwen/Qwen3-0.6B\n").unwrap();
    assert_eq!(
        request.workload,
        Workload {
            isl: Tokens::new(4000),
            osl: Tokens::new(1000)
        }
    );
    assert_eq!(
        request.sla,
        Sla::TokenLatency {
            ttft: ms(2000.0),
            itl: ms(30.0)
        }
    );
    assert_eq!(request.backend, BackendChoice::Auto);
    assert_eq!(request.search_strategy, SearchStrategy::Rapid);
    assert_eq!(request.load, Load::None);
    assert!(request.auto_apply);
    assert!(request.warnings.is_empty());
    let assumed: Vec<String> = request.assumed.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(assumed.join("\n"), @r"
    spec.backend = auto (default)
    spec.searchStrategy = rapid (default)
    spec.workload.isl = 4000 (default)
    spec.workload.osl = 1000 (default)
    spec.sla.ttft = 2000 (default)
    spec.sla.itl = 30 (default)
    spec.autoApply = true (default)
    ");
}

#[test]
fn what_is_given_is_kept() {
    let request = resolve_text(
        "metadata: {name: my-model, namespace: team}\n\
         spec:\n  model: m\n  backend: vllm\n  image: nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0\n  \
         hardware: {gpuSku: h200_sxm, vramMb: 141000, totalGpus: 16, numGpusPerNode: 8, maxNumGpusPerEngine: 4}\n  \
         workload: {isl: 3000, osl: 150, requestRate: 2.5}\n  sla: {e2eLatency: 900}\n  searchStrategy: thorough\n",
    )
    .unwrap();
    assert_eq!(
        request.name.as_ref().map(ToString::to_string).as_deref(),
        Some("my-model")
    );
    assert_eq!(request.namespace.as_deref(), Some("team"));
    assert_eq!(request.hardware.gpu_sku, Some(GpuSku::H200Sxm));
    assert_eq!(request.hardware.vram_mib, Some(141_000));
    assert_eq!(request.hardware.max_gpus_per_engine, NonZeroU32::new(4));
    assert_eq!(
        request.load,
        Load::RequestRate(RequestsPerSecond::new(2.5).unwrap())
    );
    assert_eq!(request.sla, Sla::RequestLatency(ms(900.0)));
    assert!(!request.is_assumed("spec.workload.isl"));
}

#[test]
fn an_empty_planner_is_a_planner() {
    let planner = |text: &str| {
        resolve_text(&format!("model: m\nfeatures: {{{text}}}\n"))
            .unwrap()
            .features
            .planner
    };
    assert_eq!(planner("planner: {}"), Some(PlannerSettings::default()));
    assert_eq!(planner("mocker: {enabled: true}"), None);
    let settings = planner("planner: {planner_min_endpoint: 2, load_predictor: arima}").unwrap();
    assert_eq!(settings.get("min_endpoint"), Some(&serde_json::json!(2)));
    assert_eq!(settings.get("load_predictor"), Some(&serde_json::json!("arima")));
}

#[test]
fn doubtful_requests_warn() {
    let request = resolve_text(
        "model: m\nimage: vllm-runtime:latest\nhardware: {gpuSku: gb200_sxm, totalGpus: 2, numGpusPerNode: 4, maxNumGpusPerEngine: 8}\n\
         modelCache: {}\nworkload: {concurrency: 2.5}\nsla: {ttft: 300}\n",
    )
    .unwrap();
    assert_eq!(request.hardware.gpu_sku, Some(GpuSku::Gb200));
    assert_eq!(request.load, Load::Concurrency(NonZeroU32::new(3).unwrap()));
    insta::assert_snapshot!(request.warnings.join("\n"));
}

#[test]
fn free_text_names_its_gpu() {
    for (text, expected) in [
        ("H100-SXM5-80GB", GpuSku::H100Sxm),
        ("NVIDIA H200", GpuSku::H200Sxm),
        ("H200_SXM", GpuSku::H200Sxm),
        ("h200-sxm", GpuSku::H200Sxm),
        ("NVIDIA-H100-80GB-HBM3", GpuSku::H100Sxm),
    ] {
        let request = resolve_text(&format!("model: m\nhardware: {{gpuSku: {text}}}\n")).unwrap();
        assert_eq!(request.hardware.gpu_sku, Some(expected), "{text}");
        assert_eq!(request.warnings.len(), 1, "{text}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_text() {
    insta::assert_snapshot!(faults(
        r#"apiVersion: nvidia.com/v1alpha1
kind: Deployment
metadata:
  name: My_Model
spec:
  modle: Qwen/Qwen3-32B
  backend: vLLM
  image: "nvcr.io/a b:1"
  runtimeVersionOverride: v1.2
  modelCache:
    pvcMountPath: cache
    pvcModelPath: ../secrets
  hardware:
    gpuSKU: h200_sxm
    vramMb: 80
    totalGpus: 0
    numGpusPerNode: "8"
  workload:
    isl: -1
    osl: 1.5
    concurrency: 10
    requestRate: 2
  sla:
    ttft: 0
    itl: fast
    e2eLatency: 100
  features:
    planner: on
    mocker: {enable: true}
  overrides:
    dgd: {kind: Pod}
  searchStrategy: slow
  autoApply: "yes"
"#
    ));
}

#[test]
fn each_rule_has_its_words() {
    let cases = [
        "model: m\nsearchStrategy: thorough\n",
        "model: m\nbackend: auto\nsearchStrategy: thorough\n",
        "backend: vllm\n",
        "model: \"\"\n",
        "model: 7\n",
        "model: a b\n",
        "model: m\nmodelCache: {pvcModelPath: x}\n",
        "model: m\nmodelCache: {pvcName: \"\"}\n",
        "model: m\nhardware: {gpuSku: rtx4090}\n",
        "model: m\nhardware: {gpuSku: h20_sxm}\n",
        "model: m\nhardware: {totalGpus: 3000000000}\n",
        "model: m\nhardware: 8\n",
        "model: m\nworkload: {isl: 0, concurrency: 0}\n",
        "model: m\nworkload: {requestRate: -1}\n",
        "model: m\nworkload: {requestRate: 1, concurrency: 5000000000}\n",
        "model: m\nsla: {e2eLatency: 10, itl: 5}\n",
        "spec: {v1beta2: {}}\n",
        "specs: {model: m}\nkind: DynamoGraphDeploymentRequest\n",
        "model: m\noverrides: {dgd: {apiVersion: v1, kind: Pod, metadata: {name: A}, status: {}}}\n",
        "- model: m\n",
        "just words\n",
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|text| format!("{text}=> {}\n", faults(text)))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn null_is_unset() {
    let request = resolve_text("model: m\nsla: null\nhardware: {gpuSku: ~}\nbackend:\n").unwrap();
    assert_eq!(request.hardware, crate::HardwareRequest::default());
    assert_eq!(request.backend, BackendChoice::Auto);
}

#[test]
fn whole_numbers_may_carry_a_zero_fraction() {
    let request = resolve_text("{\"model\": \"m\", \"workload\": {\"isl\": 3000.0}}").unwrap();
    assert_eq!(request.workload.isl, Tokens::new(3000));
}

/// The wire types know the same names as the walk that reports faults.
#[test]
fn the_walk_reads_every_field_that_serde_writes() {
    let text = include_str!("../../tests/data/every_field.yaml");
    let raw = parse_request(text).unwrap();
    let spec: DgdrSpec = serde_json::from_value(raw.document["spec"].clone()).unwrap();
    let DgdrSpec { model, .. } = &spec;
    assert!(model.is_some());
    let mut report = Report {
        positions: &raw.positions,
        findings: Findings::default(),
    };
    let walked = envelope::read(&raw.document, &mut report).spec;
    assert_eq!(report.findings.as_slice(), []);
    assert_eq!(walked, spec);
    let unset = serde_json::to_string(&spec).unwrap();
    assert!(!unset.contains("null"));
}

#[test]
fn simulated_engines_need_a_sweep() {
    let request =
        |mode: &str| format!("model: m\nfeatures: {{mocker: {{enabled: true}}, planner: {{{mode}}}}}\n");
    let text = faults(&request("pre_deployment_sweeping_mode: none"));
    assert!(
        text.contains("spec.features.planner.pre_deployment_sweeping_mode") && text.contains("\"rapid\""),
        "{text}"
    );
    assert!(faults(&request("planner_pre_deployment_sweeping_mode: null")).contains("must not be none"));
    assert!(resolve_text(&request("pre_deployment_sweeping_mode: rapid")).is_ok());
    assert!(resolve_text(&request("")).is_ok());
    let without = "model: m\nfeatures: {planner: {pre_deployment_sweeping_mode: none}}\n";
    assert!(resolve_text(without).is_ok());
}

#[test]
fn a_model_in_a_volume_has_one_path() {
    let path = |cache: &str| {
        let request = resolve_text(&format!("model: a/b\nmodelCache: {{pvcName: c, {cache}}}\n")).unwrap();
        (request.model_cache.unwrap().model_path(), request.warnings)
    };
    for (cache, expected) in [
        ("pvcModelPath: hub/x", "/opt/model-cache/hub/x"),
        ("pvcModelPath: hub/x/", "/opt/model-cache/hub/x"),
        ("pvcModelPath: ./hub/x", "/opt/model-cache/hub/x"),
        ("pvcModelPath: /opt/model-cache/hub/x", "/opt/model-cache/hub/x"),
        ("pvcModelPath: /opt/model-cache", "/opt/model-cache"),
        ("pvcModelPath: .", "/opt/model-cache"),
        ("pvcModelPath: x, pvcMountPath: /models/", "/models/x"),
        ("pvcModelPath: x, pvcMountPath: /", "/x"),
        (
            "pvcModelPath: opt/model-cache/x",
            "/opt/model-cache/opt/model-cache/x",
        ),
    ] {
        assert_eq!(path(cache), (Some(expected.to_owned()), Vec::new()), "{cache}");
    }
    for (cache, expected) in [
        ("pvcModelPath: /hub/x", "/opt/model-cache/hub/x"),
        (
            "pvcModelPath: /opt/model-cache2/x",
            "/opt/model-cache/opt/model-cache2/x",
        ),
        (
            "pvcModelPath: hub/models--a--b",
            "/opt/model-cache/hub/models--a--b",
        ),
    ] {
        let (path, warnings) = path(cache);
        assert_eq!(path.as_deref(), Some(expected), "{cache}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}

#[test]
fn a_model_path_outside_its_volume_is_refused_with_both_paths() {
    let request = |model: &str, cache: &str| format!("model: {model}\nmodelCache: {{pvcName: c{cache}}}\n");
    assert!(resolve_text(&request("/opt/model-cache/x", "")).is_ok());
    assert!(resolve_text(&request("/opt/model-cache/x", ", pvcModelPath: x")).is_ok());
    let outside = faults(&request("/data/x", ""));
    assert!(
        outside.contains("spec.model") && outside.contains("/data/x"),
        "{outside}"
    );
    assert!(outside.contains("mounted at /opt/model-cache"), "{outside}");
    let other = faults(&request("/opt/model-cache/x", ", pvcModelPath: other"));
    assert!(
        other.contains("/opt/model-cache/x") && other.contains("/opt/model-cache/other"),
        "{other}"
    );
    let unmounted = resolve_text("model: /data/x\n").unwrap();
    assert_eq!(unmounted.warnings.len(), 1, "{:?}", unmounted.warnings);
}

#[test]
fn a_volume_without_a_model_path_is_a_hub_cache() {
    for path in ["", ", pvcModelPath: \"\""] {
        let text = format!("model: a/b\nmodelCache: {{pvcName: c{path}}}\n");
        let cache = resolve_text(&text).unwrap().model_cache.unwrap();
        assert_eq!(cache.model_path(), None, "{text}");
    }
}
