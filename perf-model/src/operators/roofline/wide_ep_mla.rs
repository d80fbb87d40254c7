//! A block of latent attention in fp8 with its projections out of the latent spaces and of its output, the sizes being
//! those of DeepSeek V3.

use dgdr_units::real;

use crate::SystemSpec;
use crate::quant::ComputeRate;

/// Elements of the residual stream.
const HIDDEN: f64 = 7168.0;
/// Elements of the latent of queries.
const QUERY_LATENT: f64 = 1536.0;
/// Elements of the latent of keys and values.
const LATENT: f64 = 512.0;
/// Elements of one head of keys or values before their rotary part.
const HEAD: f64 = 128.0;
/// Elements of the rotary part.
const ROTARY: f64 = 64.0;

/// Heads of the model, all GPUs together.
const ALL_HEADS: u64 = 128;

/// Prefill of one layer on one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WideEpMlaContextWork {
    /// Requests.
    pub batch: u64,
    /// Tokens of each request, all of them new.
    pub sequence: u64,
    /// Heads.
    pub heads: u64,
}

/// Decode of one layer on one GPU, one new token per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WideEpMlaGenerationWork {
    /// Requests.
    pub batch: u64,
    /// Tokens of each request, the new one included.
    pub sequence: u64,
    /// Heads.
    pub heads: u64,
}

/// A product of `rows` rows.
#[derive(Clone, Copy)]
struct Product {
    rows: f64,
    n: f64,
    k: f64,
}

impl Product {
    const fn operations(self) -> f64 {
        2.0 * self.rows * self.n * self.k
    }

    /// Operands in fp8, the result in 16 bits.
    fn bytes(self) -> f64 {
        self.rows * self.k + self.n * self.k + 2.0 * self.rows * self.n
    }
}

/// Heads on a GPU when the model's are shared out among whole ranks.
fn shared_out(heads: u64) -> f64 {
    let ranks = ALL_HEADS / heads.max(1);
    if ranks == 0 {
        return 0.0;
    }
    real(ALL_HEADS / ranks)
}

/// Products in fp8 and attention in bfloat16, one after the other, or what memory takes for both.
fn slower(system: &SystemSpec, products: &[Product], attention: (f64, f64)) -> f64 {
    let operations: f64 = products.iter().map(|product| product.operations()).sum();
    let arithmetic =
        operations / system.flops(ComputeRate::Fp8) + attention.0 / system.flops(ComputeRate::Bfloat16);
    let bytes: f64 = products.iter().map(|product| product.bytes()).sum::<f64>() + 2.0 * attention.1;
    arithmetic.max(bytes / system.memory_bandwidth) * 1000.0
}

/// Prefill; attention is causal, so half of the full product.
pub fn wide_ep_mla_context(system: &SystemSpec, work: WideEpMlaContextWork) -> f64 {
    let heads = shared_out(work.heads);
    let rows = real(work.batch) * real(work.sequence);
    let products = [
        Product {
            rows,
            n: heads * (HEAD + ROTARY),
            k: QUERY_LATENT,
        },
        Product {
            rows,
            n: heads * (HEAD + HEAD),
            k: LATENT,
        },
        Product {
            rows,
            n: HIDDEN,
            k: heads * HEAD,
        },
    ];
    let operations = heads * (2.0 * HEAD + ROTARY) * rows * real(work.sequence);
    let elements = 2.0 * rows * heads * (HEAD + ROTARY + HEAD);
    slower(system, &products, (operations, elements))
}

/// Decode, which attends to the latent itself.
pub fn wide_ep_mla_generation(system: &SystemSpec, work: WideEpMlaGenerationWork) -> f64 {
    let heads = shared_out(work.heads);
    let rows = real(work.batch);
    let absorbed = heads * rows;
    let products = [
        Product {
            rows,
            n: heads * (HEAD + ROTARY),
            k: QUERY_LATENT,
        },
        Product {
            rows,
            n: HIDDEN,
            k: heads * HEAD,
        },
    ];
    // A product each head, into the latent and out of it.
    let per_head = [(LATENT, HEAD), (HEAD, LATENT)].map(|(n, k)| {
        let operations = 2.0 * absorbed * n * k;
        let bytes = absorbed * k + heads * n * k + 2.0 * absorbed * n;
        (operations, bytes)
    });
    let operations: f64 = products.iter().map(|product| product.operations()).sum::<f64>()
        + per_head.iter().map(|(operations, _)| operations).sum::<f64>();
    let bytes: f64 = products.iter().map(|product| product.bytes()).sum::<f64>()
        + per_head.iter().map(|(_, bytes)| bytes).sum::<f64>();
    let attention = 2.0 * absorbed * real(work.sequence) * (ROTARY + 2.0 * LATENT);
    let read = absorbed * (2.0 * LATENT + ROTARY) + rows * real(work.sequence) * (ROTARY + LATENT);
    let arithmetic =
        operations / system.flops(ComputeRate::Fp8) + attention / system.flops(ComputeRate::Bfloat16);
    arithmetic.max((bytes + 2.0 * read) / system.memory_bandwidth) * 1000.0
}
