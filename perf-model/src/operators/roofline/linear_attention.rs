//! Layers whose state does not grow with the sequence. All are bound by memory: what each kernel reads and writes.

use dgdr_units::real;

use crate::SystemSpec;
use crate::operators::SequenceTokens;
use crate::operators::linear_attention::{
    GdnKernel, GdnShape, KdaKernel, KdaShape, Mamba2Kernel, Mamba2Shape,
};

/// Bytes of an activation.
const ACTIVATION: f64 = 2.0;

/// Bytes of an element of a delta rule's state.
const STATE: f64 = 4.0;

/// Tokens that a chunked scan carries its state over.
const CHUNK: u64 = 64;

/// Bytes that a kernel reads and writes.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic(f64);

impl Traffic {
    fn ms(self, system: &SystemSpec) -> f64 {
        self.0 / system.memory_bandwidth * 1000.0
    }
}

/// A causal convolution over `width` tokens of `channels` channels.
fn convolution(tokens: f64, channels: f64, width: u32) -> Traffic {
    Traffic(tokens * channels * (f64::from(width) + 2.0) * ACTIVATION)
}

/// Elements of the queries, keys and values of one token on one GPU, of its values, and of one sequence's state.
struct DeltaSizes {
    mixed: f64,
    values: f64,
    state: f64,
}

impl GdnShape {
    fn sizes(&self) -> DeltaSizes {
        let values = f64::from(self.value_heads) * f64::from(self.value_dim);
        DeltaSizes {
            mixed: 2.0 * f64::from(self.key_heads) * f64::from(self.key_dim) + values,
            values,
            state: values * f64::from(self.key_dim),
        }
    }
}

/// A kernel of a gated delta net.
pub fn gated_delta(system: &SystemSpec, shape: &GdnShape, step: SequenceTokens) -> f64 {
    let DeltaSizes { mixed, values, state } = shape.sizes();
    let sequences = real(step.batch);
    let tokens = step.count(shape.kernel.is_prompt());
    let traffic = match shape.kernel {
        GdnKernel::PromptConvolution | GdnKernel::StepConvolution => {
            convolution(tokens, mixed, shape.conv_width)
        }
        GdnKernel::Scan => {
            let chunks = real(step.tokens / CHUNK) * state * ACTIVATION;
            Traffic(tokens * (mixed + values) * ACTIVATION + 2.0 * sequences * (state * STATE + chunks))
        }
        GdnKernel::Recurrence => {
            Traffic(tokens * (mixed + values) * ACTIVATION + 2.0 * sequences * state * STATE)
        }
    };
    traffic.ms(system)
}

/// A kernel of Mamba2.
pub fn mamba2(system: &SystemSpec, shape: &Mamba2Shape, step: SequenceTokens) -> f64 {
    let inner = f64::from(shape.heads) * f64::from(shape.head_dim);
    let groups = 2.0 * f64::from(shape.groups) * f64::from(shape.state);
    let tokens = step.count(shape.kernel.is_prompt());
    let traffic = match shape.kernel {
        Mamba2Kernel::PromptConvolution | Mamba2Kernel::StepConvolution => {
            convolution(tokens, inner + groups, shape.conv_width)
        }
        Mamba2Kernel::Scan | Mamba2Kernel::StateUpdate => {
            Traffic(tokens * (2.0 * inner + groups + f64::from(shape.heads)) * ACTIVATION)
        }
    };
    traffic.ms(system)
}

/// A kernel of Kimi delta attention; queries, keys, values and gates are equally wide.
pub fn kimi_delta(system: &SystemSpec, shape: &KdaShape, step: SequenceTokens) -> f64 {
    let width = f64::from(shape.value_heads) * f64::from(shape.value_dim);
    let state = width * f64::from(shape.key_dim) * STATE;
    let sequences = real(step.batch);
    let tokens = step.count(shape.kernel.is_prompt() || shape.kernel.is_verify());
    let convolved = convolution(tokens, 3.0 * width, shape.conv_width).0;
    let mixed = tokens * 5.0 * width * ACTIVATION;
    // A chain of drafts keeps the state after each, so that any number of them can be accepted.
    let (recurrence, chain) = (
        mixed + 2.0 * sequences * state,
        mixed + (sequences + tokens) * state,
    );
    let traffic = match shape.kernel {
        KdaKernel::PromptConvolution | KdaKernel::StepConvolution | KdaKernel::VerifyConvolution => convolved,
        KdaKernel::ChunkScan | KdaKernel::FlashScan => {
            let chunks = real(step.tokens / CHUNK) * state;
            mixed + 2.0 * sequences * (state + chunks)
        }
        KdaKernel::Recurrence | KdaKernel::VllmStep => recurrence,
        KdaKernel::FusedStep => convolved + recurrence,
        KdaKernel::Verify | KdaKernel::VllmVerify => chain,
        KdaKernel::FusedVerify => convolved + chain,
    };
    Traffic(traffic).ms(system)
}
