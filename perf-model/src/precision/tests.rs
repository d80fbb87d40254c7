use super::PrecisionOverrides;
use crate::model::ModelFamily;
use crate::quant::{FmhaQuant, GemmQuant, KvQuant, MoeQuant, PartFormats, Precision};
use crate::{Backend, PerfDatabase, PerfModelError, SystemSpec, registry};

fn database(system: &str, backend: &str) -> PerfDatabase {
    let backend = [Backend::Trtllm, Backend::Sglang, Backend::Vllm]
        .into_iter()
        .find(|known| known.to_string() == backend)
        .unwrap();
    PerfDatabase::embedded(SystemSpec::by_name(system).unwrap(), backend, None).unwrap()
}

/// Whether anything was measured that can decide over prefill attention; upstream leaves it in fp8 where nothing was.
fn attention_is_decided(family: ModelFamily, database: &PerfDatabase, kv: KvQuant) -> bool {
    let latent = matches!(family, ModelFamily::DeepSeek | ModelFamily::KimiK3);
    let table = if latent && database.backend() != Backend::Vllm {
        "context_mla"
    } else {
        "context_attention"
    };
    database.has_slice(table, &[("kv_cache_dtype", kv.name())], &[]) == Some(true)
}

#[test]
fn every_known_checkpoint_runs_in_upstreams_formats() {
    let golden = include_str!("../../tests/data/formats.csv");
    let mut lines = golden.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<PerfDatabase> = lines
        .next()
        .unwrap()
        .split(',')
        .skip(1)
        .map(|column| {
            let (system, backend) = column.split_once('/').unwrap();
            database(system, backend)
        })
        .collect();
    let (mut compared, mut decided) = (0, 0);
    for line in lines {
        let mut cells = line.split(',');
        let model = registry::find(cells.next().unwrap()).unwrap();
        let mut expected = "";
        for (database, cell) in columns.iter().zip(cells) {
            expected = if cell == "=" { expected } else { cell };
            let found = Precision::infer(model, database).unwrap();
            let formats = [found.gemm.name(), found.moe.name(), found.kv.name()].join("/");
            let (rest, fmha) = expected.rsplit_once('/').unwrap();
            let at = format!(
                "{} on {} {}",
                model.name,
                database.system().name,
                database.backend()
            );
            assert_eq!(formats, rest, "{at}");
            if attention_is_decided(model.family, database, found.kv) {
                // Upstream does not ask whether the window of a model's local layers was measured.
                let answers_more = model.alternating.is_some() && found.fmha == FmhaQuant::Bfloat16;
                assert!(found.fmha.name() == fmha || answers_more, "{at}");
                decided += 1;
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 89 * 15);
    assert!(decided > 900, "{decided}");
}

#[test]
fn a_users_format_is_the_one_of_every_part() {
    let model = registry::find("nvidia/DeepSeek-V3.1-NVFP4").unwrap();
    let database = database("b200_sxm", "trtllm");
    let stored = Precision::infer(model, &database).unwrap();
    assert_eq!(
        (stored.query(), stored.key_value(), stored.output()),
        (GemmQuant::Bfloat16, GemmQuant::Bfloat16, GemmQuant::Nvfp4)
    );
    let overrides = PrecisionOverrides {
        gemm: Some(GemmQuant::Fp8Block),
        ..PrecisionOverrides::default()
    };
    let insisted = Precision::infer_with(model, &database, overrides).unwrap();
    assert_eq!(insisted.parts, PartFormats::UNIFORM);
    assert_eq!(insisted.query(), GemmQuant::Fp8Block);
}

#[test]
fn experts_of_unknown_format_are_asked_for() {
    let mut model = registry::find("Qwen/Qwen3-30B-A3B").unwrap().clone();
    model.quantization.moe = None;
    let database = database("h200_sxm", "vllm");
    let error = Precision::infer(&model, &database).unwrap_err();
    assert!(matches!(error, PerfModelError::QuantizationNotCovered { .. }));
    assert!(error.to_string().contains("moe_quant_mode"), "{error}");
    let overrides = PrecisionOverrides {
        moe: Some(MoeQuant::Int4Wo),
        ..PrecisionOverrides::default()
    };
    assert_eq!(
        Precision::infer_with(&model, &database, overrides).unwrap().moe,
        MoeQuant::Int4Wo
    );
}
