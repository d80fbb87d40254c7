//! Linear and compressed attention against the reference predictor, one question a row (see `data/README.md`).
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap fails the test"
)]

use std::collections::BTreeMap;

use dgdr_perf_model::graph::{Compression, Dsv4Shape, HyperConnectionShape, HyperConnectionSide, MsaShape};
use dgdr_perf_model::operators::{
    ContextTokens, GdnKernel, GdnShape, GenerationTokens, KdaKernel, KdaShape, Mamba2Kernel, Mamba2Shape,
    OperatorMiss, SequenceTokens,
};
use dgdr_perf_model::{
    Backend, FmhaQuant, GemmQuant, KvQuant, OperatorLatency, PerfDatabase, SourceKind, SystemSpec,
};

const ROWS: &str = include_str!("data/upstream_linear_and_sparse.csv");

/// Table values are packed to within 1e-4; the rest is for products and blends of them.
const TOLERANCE: f64 = 1.5e-4;

type Answer = Result<OperatorLatency, OperatorMiss>;

/// One question; sizes that all models of a kind share are left out of it.
struct Question {
    database: PerfDatabase,
    operator: String,
    given: BTreeMap<String, String>,
}

impl Question {
    fn count(&self, name: &str) -> u64 {
        self.given[name].parse().unwrap()
    }

    fn size(&self, name: &str) -> u32 {
        self.given[name].parse().unwrap()
    }

    /// A size that questions leave out where it is zero.
    fn size_or_none(&self, name: &str) -> u32 {
        self.given.get(name).map_or(0, |value| value.parse().unwrap())
    }

    fn answer(&self) -> Answer {
        match self.operator.as_str() {
            "Gdn" => self.gdn(),
            "Mamba2" => self.mamba2(),
            "Kda" => self.kda(),
            "Mhc" => self.hyper_connection(),
            "Dsv4Context" => self
                .database
                .context_dsv4(self.compressed())?
                .latency(self.prompts()),
            "Dsv4Generation" => self
                .database
                .generation_dsv4(self.compressed())?
                .latency(self.steps()),
            "MsaContext" => self
                .database
                .context_msa(self.block_sparse())?
                .latency(self.prompts()),
            "MsaGeneration" => self
                .database
                .generation_msa(self.block_sparse())?
                .latency(self.steps()),
            other => unreachable!("operator `{other}` is not asked about"),
        }
    }

    fn sequences(&self) -> SequenceTokens {
        SequenceTokens {
            batch: self.count("b"),
            tokens: self.count("s"),
        }
    }

    fn prompts(&self) -> ContextTokens {
        ContextTokens {
            batch: self.count("b"),
            new_tokens: self.count("s"),
            prefix: u64::from(self.size_or_none("prefix")),
        }
    }

    fn steps(&self) -> GenerationTokens {
        GenerationTokens {
            batch: self.count("b"),
            sequence: self.count("s"),
        }
    }

    fn kv(&self) -> KvQuant {
        KvQuant::from_name(&self.given["kv"]).unwrap()
    }

    fn gemm(&self) -> GemmQuant {
        GemmQuant::from_name(&self.given["gemm"]).unwrap()
    }

    fn hyper_connection(&self) -> Answer {
        let shape = HyperConnectionShape {
            side: if self.given["op"] == "pre" {
                HyperConnectionSide::Pre
            } else {
                HyperConnectionSide::Post
            },
            streams: 4,
            hidden: self.size("hidden_size"),
            sinkhorn_iterations: 20,
        };
        let tokens = self.count("x").div_ceil(self.count("seq_split"));
        self.database.hyper_connection(shape)?.latency(tokens)
    }

    fn compressed(&self) -> Dsv4Shape {
        Dsv4Shape {
            compression: if self.given["attn_kind"] == "Csa" {
                Compression::Sparse
            } else {
                Compression::Heavy
            },
            heads: self.size("num_heads"),
            all_heads: self.size("native_heads"),
            tp: 1,
            hidden: self.size("hidden_size"),
            q_rank: self.size("q_lora_rank"),
            o_rank: 1024,
            o_groups: self.size("o_groups"),
            head_dim: 512,
            rope_dim: 64,
            index_heads: 64,
            index_dim: 128,
            chosen: self.size("index_topk"),
            window: 128,
            context_parallel: self.size_or_none("cp_size").max(1),
            kv: self.kv(),
            fmha: FmhaQuant::Bfloat16,
            gemm: self.gemm(),
        }
    }

    fn block_sparse(&self) -> MsaShape {
        MsaShape {
            heads: self.size("num_heads"),
            kv_heads: self.size("num_kv_heads"),
            hidden: 6144,
            head_dim: 128,
            value_dim: 128,
            index_heads: 4,
            index_dim: 128,
            chosen: 2048,
            block: 128,
            kv: self.kv(),
            fmha: FmhaQuant::Bfloat16,
            gemm: self.gemm(),
        }
    }

    fn gdn(&self) -> Answer {
        let kernel = [
            GdnKernel::PromptConvolution,
            GdnKernel::Scan,
            GdnKernel::StepConvolution,
            GdnKernel::Recurrence,
        ];
        let shape = GdnShape {
            kernel: self.kernel(kernel.map(|kernel| (kernel.name(), kernel))),
            hidden: self.size("d_model"),
            conv_width: 4,
            key_heads: self.size("num_k_heads"),
            key_dim: 128,
            value_heads: self.size("num_v_heads"),
            value_dim: 128,
        };
        Ok(self.database.gated_delta(shape)?.latency(self.sequences()))
    }

    fn mamba2(&self) -> Answer {
        let kernel = [
            Mamba2Kernel::PromptConvolution,
            Mamba2Kernel::Scan,
            Mamba2Kernel::StepConvolution,
            Mamba2Kernel::StateUpdate,
        ];
        let shape = Mamba2Shape {
            kernel: self.kernel(kernel.map(|kernel| (kernel.name(), kernel))),
            hidden: self.size("d_model"),
            state: self.size("d_state"),
            conv_width: 4,
            heads: self.size("nheads"),
            head_dim: 64,
            groups: self.size("n_groups"),
            chunk: 128,
        };
        Ok(self.database.mamba2(shape)?.latency(self.sequences()))
    }

    fn kda(&self) -> Answer {
        let kernels = match self.given["phase"].as_str() {
            "verify" => [
                KdaKernel::VerifyConvolution,
                KdaKernel::Verify,
                KdaKernel::VllmVerify,
                KdaKernel::FusedVerify,
            ],
            "context" => [
                KdaKernel::PromptConvolution,
                KdaKernel::ChunkScan,
                KdaKernel::FlashScan,
                KdaKernel::ChunkScan,
            ],
            _ => [
                KdaKernel::StepConvolution,
                KdaKernel::Recurrence,
                KdaKernel::VllmStep,
                KdaKernel::FusedStep,
            ],
        };
        let shape = KdaShape {
            kernel: self.kernel(kernels.map(|kernel| (kernel.name(), kernel))),
            hidden: self.size("d_model"),
            conv_width: 4,
            key_heads: self.size("num_k_heads"),
            key_dim: 128,
            value_heads: self.size("num_v_heads"),
            value_dim: 128,
            draft_tokens: self.size_or_none("draft_tokens"),
        };
        Ok(self.database.kimi_delta(shape)?.latency(self.sequences()))
    }

    fn kernel<K: Copy, const N: usize>(&self, kernels: [(&str, K); N]) -> K {
        let wanted = self.given["kernel"].as_str();
        kernels.iter().find(|(name, _)| *name == wanted).unwrap().1
    }
}

/// A question with the milliseconds of the reference, none where it misses too, and whether they are its roofline.
struct Row {
    line: String,
    question: Question,
    expected: Option<f64>,
    is_roofline: bool,
}

fn rows() -> Vec<Row> {
    let mut databases: BTreeMap<(String, String), PerfDatabase> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(ROWS.as_bytes());
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let place = (record[0].to_owned(), record[1].to_owned());
            let database = databases.entry(place).or_insert_with(|| {
                let system = SystemSpec::by_name(&record[0]).unwrap();
                PerfDatabase::embedded(system, Backend::from_name(&record[1]).unwrap(), None).unwrap()
            });
            let given = record[3].split_whitespace().map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            });
            Row {
                question: Question {
                    database: database.clone(),
                    operator: record[2].to_owned(),
                    given: given.collect(),
                },
                line: record.iter().collect::<Vec<_>>().join(","),
                expected: (!record[4].is_empty()).then(|| record[4].parse().unwrap()),
                is_roofline: &record[5] == "sol",
            }
        })
        .collect()
}

/// What was found, by operator and source.
type Tally = BTreeMap<(String, Option<SourceKind>), usize>;

#[test]
fn every_operator_costs_what_the_reference_says() {
    let mut wrong = Vec::new();
    let mut tally = Tally::new();
    let mut worst = 0.0_f64;
    for row in rows() {
        let operator = row.question.operator.clone();
        match (row.question.answer(), row.expected) {
            (Ok(found), Some(expected)) => {
                let kind = found.source.kind();
                let error = (found.ms - expected).abs() / expected.max(f64::MIN_POSITIVE);
                if error > TOLERANCE || (kind == SourceKind::Roofline) != row.is_roofline {
                    wrong.push(format!(
                        "{}: found {:.9} ({:?}), {error:.1e} off",
                        row.line, found.ms, found.source
                    ));
                } else {
                    worst = worst.max(error);
                    *tally.entry((operator, Some(kind))).or_default() += 1;
                }
            }
            (Err(OperatorMiss::NotMeasured { .. } | OperatorMiss::OutOfReach { .. }), None) => {
                *tally.entry((operator, None)).or_default() += 1;
            }
            (answer, _) => wrong.push(format!("{}: {answer:?}", row.line)),
        }
    }
    println!("{tally:?}, worst relative error {worst:.2e}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // The file asks about all of it: points, cells, tails, and shapes that nobody measured.
    for kind in [
        SourceKind::Measured,
        SourceKind::Interpolated,
        SourceKind::Extrapolated,
        SourceKind::Roofline,
    ] {
        let count: usize = tally
            .iter()
            .filter(|((_, found), _)| *found == Some(kind))
            .map(|(_, count)| count)
            .sum();
        assert!(count >= 30, "{kind:?}: {tally:?}");
    }
}
