//! What a checkpoint says of its formats, in its `config.json` and in ModelOpt's record beside it.

use serde_json::{Map, Value};

use crate::error::PerfModelError;
use crate::quant::KvQuant;

/// Keys under which a configuration lists the modules that its algorithm leaves alone.
const EXCLUSIONS: [&str; 3] = ["modules_to_not_convert", "exclude_modules", "ignore"];

/// The two records of a checkpoint's formats; ModelOpt's own wins.
pub(in crate::model) struct Declared<'a> {
    model: &'a str,
    config: Option<&'a Map<String, Value>>,
    model_opt: Option<&'a Map<String, Value>>,
    expert_dtype: Option<&'a str>,
}

impl<'a> Declared<'a> {
    /// Takes `quantization_config` of a `config.json`, `quantization` of a `hf_quant_config.json` and the document's
    /// `expert_dtype`.
    pub(in crate::model) fn new(
        model: &'a str,
        config: Option<&'a Value>,
        model_opt: Option<&'a Value>,
        expert_dtype: Option<&'a Value>,
    ) -> Result<Self, PerfModelError> {
        let object = |field: &str, value: Option<&'a Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(other) => Err(PerfModelError::ModelConfig {
                model: model.to_owned(),
                field: field.to_owned(),
                problem: format!("must be an object, got {}", kind(other)),
            }),
        };
        Ok(Self {
            model,
            config: object("quantization_config", config)?,
            model_opt: object("quantization", model_opt)?,
            expert_dtype: expert_dtype.and_then(Value::as_str),
        })
    }

    /// The algorithm's name, lower case; FP8 with scales by block has a name of its own.
    pub(super) fn algorithm(&self) -> Result<Option<String>, PerfModelError> {
        let recorded = self.name(
            "quantization",
            self.model_opt,
            &["quant_algo", "quantization_algo"],
        )?;
        let algorithm = match recorded {
            Some(algorithm) => Some(algorithm),
            None => self.name(
                "quantization_config",
                self.config,
                &["quant_algo", "quant_method", "quantization_method"],
            )?,
        };
        Ok(algorithm.map(|name| {
            if name == "fp8" && self.has_blocks() {
                "fp8_block".to_owned()
            } else {
                name
            }
        }))
    }

    /// The format of the KV cache, where it is named or described.
    pub(super) fn cache(&self) -> Result<Option<KvQuant>, PerfModelError> {
        let recorded = self.name("quantization", self.model_opt, &["kv_cache_quant_algo"])?;
        let named = match recorded {
            Some(name) => Some(name),
            None => self.name(
                "quantization_config",
                self.config,
                &["kv_cache_quant_algo", "kv_cache_quant_method", "kv_cache_dtype"],
            )?,
        };
        let scheme = || self.config?.get("kv_cache_scheme");
        Ok(match named {
            Some(name) => cache_by_name(&name),
            None => match scheme() {
                Some(Value::String(name)) => cache_by_name(&name.trim().to_lowercase()),
                Some(scheme) => cache_by_scheme(scheme),
                None => None,
            },
        })
    }

    /// The base method of the configuration, whatever ModelOpt recorded on top.
    pub(super) fn base_method(&self) -> Option<String> {
        Some(self.config?.get("quant_method")?.as_str()?.to_lowercase())
    }

    pub(super) fn has_blocks(&self) -> bool {
        let size = || self.config?.get("weight_block_size")?.as_array();
        size().is_some_and(|size| !size.is_empty())
    }

    pub(super) fn experts_are_fp4(&self) -> bool {
        self.expert_dtype
            .is_some_and(|name| name.eq_ignore_ascii_case("fp4"))
    }

    /// Bits of a weight, where the algorithm's name does not say.
    pub(super) fn bits(&self) -> Option<u64> {
        let config = self.config?;
        if config.get("load_in_8bit").and_then(Value::as_bool) == Some(true) {
            return Some(8);
        }
        ["bits", "w_bit", "num_bits"]
            .iter()
            .find_map(|key| config.get(*key)?.as_u64())
    }

    /// Groups of modules of one format each.
    pub(super) fn groups(&self) -> impl Iterator<Item = &'a Map<String, Value>> {
        self.config
            .and_then(|config| config.get("config_groups")?.as_object())
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_object)
    }

    /// Modules with the algorithm of each, as ModelOpt lists them.
    pub(super) fn quantized_layers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        [self.model_opt, self.config]
            .into_iter()
            .filter_map(|record| record?.get("quantized_layers")?.as_object())
            .flatten()
            .filter_map(|(module, said)| Some((module.as_str(), algorithm_of(said)?)))
    }

    /// Patterns of modules that are left in 16 bits.
    pub(super) fn exclusions(&self) -> impl Iterator<Item = &'a str> {
        let listed = |record: Option<&'a Map<String, Value>>, keys: &'static [&'static str]| {
            keys.iter()
                .filter_map(move |key| record?.get(*key)?.as_array())
                .flatten()
                .filter_map(Value::as_str)
        };
        listed(self.config, &EXCLUSIONS).chain(listed(self.model_opt, &EXCLUSIONS[1..]))
    }

    /// Patterns of modules that the configuration itself leaves in 16 bits.
    pub(super) fn ignored(&self) -> impl Iterator<Item = &'a str> {
        self.config
            .and_then(|config| config.get("ignore")?.as_array())
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// Whether activations are scaled at run time; unknown when the checkpoint does not say.
    pub(super) fn scales_dynamically(&self) -> Option<bool> {
        let scheme = self.config?.get("activation_scheme").and_then(Value::as_str);
        match scheme.map(str::to_lowercase).as_deref() {
            Some("dynamic") => return Some(true),
            Some("static") => return Some(false),
            _ => {}
        }
        self.groups()
            .flat_map(|group| [group.get("input_activations"), group.get("weights")])
            .filter_map(|part| part?.get("dynamic")?.as_bool())
            .reduce(|any, dynamic| any || dynamic)
    }

    /// The text under the first of `keys` that holds one, lower case.
    fn name(
        &self,
        field: &str,
        record: Option<&Map<String, Value>>,
        keys: &[&str],
    ) -> Result<Option<String>, PerfModelError> {
        for key in keys {
            match record.and_then(|record| record.get(*key)) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.trim().is_empty() => {}
                Some(Value::String(text)) => return Ok(Some(text.trim().to_lowercase())),
                Some(other) => {
                    return Err(PerfModelError::ModelConfig {
                        model: self.model.to_owned(),
                        field: format!("{field}.{key}"),
                        problem: format!("must be the name of an algorithm, got {}", kind(other)),
                    });
                }
            }
        }
        Ok(None)
    }
}

/// What a module's entry says of its algorithm: the name itself, or an object with it.
pub(super) fn algorithm_of(said: &Value) -> Option<&str> {
    said.as_str().or_else(|| {
        ["quant_algo", "quantization_algo", "quant_method"]
            .iter()
            .find_map(|key| said.get(*key)?.as_str())
    })
}

/// What kind of JSON value something is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn cache_by_name(name: &str) -> Option<KvQuant> {
    match name {
        "fp8" | "fp8_e4m3" | "fp8_e5m2" | "e4m3" | "e5m2" => Some(KvQuant::Fp8),
        "int8" => Some(KvQuant::Int8),
        "fp16" | "float16" | "bf16" | "bfloat16" => Some(KvQuant::Bfloat16),
        _ => None,
    }
}

fn cache_by_scheme(scheme: &Value) -> Option<KvQuant> {
    let kind = scheme.get("type")?.as_str()?.to_lowercase();
    let bits = scheme.get("num_bits").and_then(Value::as_u64);
    match (kind.as_str(), bits) {
        (kind, _) if kind.contains("fp8") => Some(KvQuant::Fp8),
        ("float", Some(bits)) if bits <= 8 => Some(KvQuant::Fp8),
        ("float", Some(_)) => Some(KvQuant::Bfloat16),
        ("int", Some(8)) => Some(KvQuant::Int8),
        _ => None,
    }
}
