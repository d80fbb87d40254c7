//! What the reference says: the lines that `xtask/src/oracle/graphs.py` writes.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;

use dgdr_perf_model::graph::GraphQuery;
use dgdr_perf_model::{
    Backend, FmhaQuant, GemmQuant, KvQuant, MappingWidths, ModelFamily, ModelSpec, MoeQuant, ParallelMapping,
    PartFormats, Precision, SystemSpec,
};

/// Fields that the reference's operators have and ours need not: what they say follows from the others.
const IMPLIED: [(&str, &str); 21] = [
    // Decode attention computes in the format of the cache.
    ("DsaGeneration", "fmha_quant_mode"),
    // The first kernel that was measured for the engine.
    ("MoeExpertCompute", "kernel_source"),
    // The only ones that were measured.
    ("WideEpContextMla", "fmha_quant_mode"),
    ("WideEpContextMla", "attn_backend"),
    ("WideEpGenerationMla", "fmha_quant_mode"),
    ("WideEpGenerationMla", "attn_backend"),
    // The reference writes a share of tokens here and does not use it.
    ("MoeDispatch", "scale_num_tokens"),
    // No known model keeps its state in another format than float32.
    ("Gdn", "mamba_ssm_dtype"),
    ("Moe", "is_context"),
    ("Embedding", "quant_mode"),
    ("Mhc", "quant_mode"),
    ("Mhc", "architecture"),
    ("Dsv4Context", "architecture"),
    ("Dsv4Generation", "architecture"),
    ("MlaModuleContext", "native_num_heads"),
    ("MlaModuleGeneration", "native_num_heads"),
    // Decode attention computes in the format of the cache.
    ("MlaModuleGeneration", "fmha_quant_mode"),
    // Only weights depend on them, which are compared on their own.
    ("DsaContext", "attn_projection_quant_modes"),
    ("DsaGeneration", "attn_projection_quant_modes"),
    // What the reference estimates from when this attention was not measured.
    ("Msa", "dsa_architecture"),
    ("Msa", "dsa_scale_k"),
];

/// One operator with all that is inside it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Op {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) times: f64,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) branches: BTreeMap<String, Vec<Self>>,
}

/// Bytes that a worker holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) weights: f64,
    pub(crate) activations: f64,
    /// Of a sequence of 1, 100 and 5000 tokens.
    pub(crate) kept: [f64; 3],
    pub(crate) longest: f64,
}

/// What the reference answers: numbers of its lists, and sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) context: usize,
    pub(crate) generation: usize,
    pub(crate) precision: Precision,
    pub(crate) sizes: Sizes,
}

/// One worker.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) system: String,
    pub(crate) backend: Backend,
    pub(crate) model: String,
    pub(crate) mapping: ParallelMapping,
    pub(crate) drafted: u32,
    pub(crate) answer: Result<Answer, String>,
}

/// All workers.
#[derive(Debug, Default)]
pub(crate) struct Golden {
    ops: Vec<String>,
    lists: Vec<Vec<usize>>,
    pub(crate) cases: Vec<Case>,
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.name == other.name
            && (self.times - other.times).abs() <= 1e-12 * self.times.abs()
            && self.fields == other.fields
            && self.branches == other.branches
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ×{}", self.kind, self.name, self.times)?;
        for (field, value) in &self.fields {
            write!(f, " {field}={value}")?;
        }
        for (branch, ops) in &self.branches {
            write!(f, "\n        {branch}:")?;
            for op in ops {
                write!(f, "\n          {op}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            system,
            backend,
            model,
            mapping,
            drafted,
            ..
        } = self;
        write!(f, "{model} {system} {backend} {mapping} drafts {drafted}")
    }
}

impl Sizes {
    pub(crate) fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("weights", self.weights),
            ("activations", self.activations),
            ("cache of 1 token", self.kept[0]),
            ("cache of 100 tokens", self.kept[1]),
            ("cache of 5000 tokens", self.kept[2]),
            ("longest sequence", self.longest),
        ]
    }
}

impl Case {
    /// The same question to us.
    pub(crate) fn query<'a>(&self, model: &'a ModelSpec, system: &'static SystemSpec) -> GraphQuery<'a> {
        const PLAIN: Precision = Precision {
            gemm: GemmQuant::Bfloat16,
            moe: MoeQuant::Bfloat16,
            kv: KvQuant::Bfloat16,
            fmha: FmhaQuant::Bfloat16,
            parts: PartFormats::UNIFORM,
        };
        // Refusals carry no formats: those of the checkpoint decide whether blocks are cut.
        let inferred = Precision {
            moe: match model.quantization.gemm {
                Some(GemmQuant::Fp8Block) => MoeQuant::Fp8Block,
                _ => MoeQuant::Bfloat16,
            },
            ..PLAIN
        };
        GraphQuery {
            model,
            precision: self
                .answer
                .as_ref()
                .map_or(inferred, |answer| with_parts(answer.precision, model)),
            mapping: self.mapping_of(model),
            backend: self.backend,
            system,
            drafted: self.drafted,
        }
    }
}

/// What the reference's answer does not say: which parts the checkpoint keeps in another format.
fn with_parts(precision: Precision, model: &ModelSpec) -> Precision {
    let checkpoint = &model.quantization;
    Precision {
        moe: match (model.family, checkpoint.moe) {
            (ModelFamily::Gemma4, Some(moe)) => moe,
            _ => precision.moe,
        },
        parts: checkpoint.parts,
        ..precision
    }
}

impl Case {
    /// The reference ignores the experts' widths of a model that has none; we do not take them.
    fn mapping_of(&self, model: &ModelSpec) -> ParallelMapping {
        let widths = self.mapping.widths();
        if model.experts.is_some() {
            return self.mapping;
        }
        ParallelMapping::new(MappingWidths {
            moe_tp: 1,
            moe_ep: 1,
            ..widths
        })
        .unwrap()
    }

    /// Whether the reference was asked for experts of a model that has none.
    pub(crate) fn is_about_experts(&self, model: &ModelSpec) -> bool {
        self.mapping_of(model) != self.mapping
    }
}

impl Golden {
    pub(crate) fn read(packed: &[u8]) -> Self {
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        let mut golden = Self::default();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap();
            match kind {
                "op" => golden.ops.push(rest.to_owned()),
                "list" => golden
                    .lists
                    .push(rest.split(' ').map(|number| number.parse().unwrap()).collect()),
                "case" | "refuse" => golden.cases.push(case(kind, rest)),
                _ => unreachable!("line `{line}`"),
            }
        }
        golden
    }

    /// The operators of a list.
    pub(crate) fn list(&self, number: usize) -> Vec<Op> {
        self.lists[number]
            .iter()
            .map(|&op| self.op(&self.ops[op]))
            .collect()
    }

    fn op(&self, text: &str) -> Op {
        let mut words = text.split(' ');
        let mut op = Op {
            kind: words.next().unwrap().to_owned(),
            name: words.next().unwrap().to_owned(),
            times: words.next().unwrap().parse().unwrap(),
            ..Op::default()
        };
        for word in words {
            if let Some((field, value)) = word.split_once('=') {
                let family = if op.kind.starts_with("Msa") {
                    "Msa"
                } else {
                    &op.kind
                };
                if !IMPLIED.contains(&(family, field)) {
                    op.fields.insert(field.to_owned(), value.to_owned());
                }
            } else {
                let (branch, list) = word.split_once(':').unwrap();
                op.branches
                    .insert(branch.to_owned(), self.list(list.parse().unwrap()));
            }
        }
        // Prompts and decoded tokens travel alike unless sequences are split.
        if op.kind == "MoeDispatch" && !op.fields.contains_key("attn_cp_size") {
            op.fields.remove("is_context");
        }
        op
    }
}

fn case(kind: &str, text: &str) -> Case {
    let words: Vec<&str> = text.split(' ').collect();
    let count = |at: usize| words[at].parse::<u32>().unwrap();
    let widths = MappingWidths {
        tp: count(3),
        pp: count(4),
        attention_dp: count(5),
        moe_tp: count(6),
        moe_ep: count(7),
        cp: count(8),
    };
    Case {
        system: words[0].to_owned(),
        backend: Backend::from_name(words[1]).unwrap(),
        model: words[2].to_owned(),
        mapping: ParallelMapping::new(widths).unwrap(),
        drafted: count(9),
        answer: if kind == "case" {
            Ok(answer(&words[10..]))
        } else {
            Err(words[10..].join(" "))
        },
    }
}

fn answer(words: &[&str]) -> Answer {
    let size = |at: usize| words[at].parse::<f64>().unwrap();
    Answer {
        precision: Precision {
            gemm: GemmQuant::from_name(words[0]).unwrap(),
            moe: moe_format(words[1]),
            kv: KvQuant::from_name(words[2]).unwrap(),
            fmha: if words[3] == "fp8" {
                FmhaQuant::Fp8
            } else {
                FmhaQuant::Bfloat16
            },
            parts: PartFormats::UNIFORM,
        },
        context: words[4].parse().unwrap(),
        generation: words[5].parse().unwrap(),
        sizes: Sizes {
            weights: size(6),
            activations: size(7),
            kept: [size(8), size(9), size(10)],
            longest: size(11),
        },
    }
}

/// The reference's engine says `int4` where its operators say `int4_wo`.
fn moe_format(name: &str) -> MoeQuant {
    MoeQuant::from_name(if name == "int4" { "int4_wo" } else { name }).unwrap()
}
