//! The packed files that come with this library.

use crate::Backend;

/// A packed file in memory.
#[derive(Debug)]
pub(super) struct Packed {
    /// Its name, for error messages.
    pub(super) name: &'static str,
    /// Its contents.
    pub(super) bytes: &'static [u8],
}

macro_rules! packed {
    ($name:literal) => {
        Packed {
            name: concat!($name, ".dgdrperf"),
            bytes: include_bytes!(concat!("../../data/tables/", $name, ".dgdrperf")),
        }
    };
}

/// Tables of one engine on one system, by ascending system.
pub(super) static EMBEDDED: [(&str, Backend, Packed); 15] = [
    ("a100_sxm", Backend::Trtllm, packed!("a100_sxm-trtllm")),
    ("a100_sxm", Backend::Sglang, packed!("a100_sxm-sglang")),
    ("a100_sxm", Backend::Vllm, packed!("a100_sxm-vllm")),
    ("b200_sxm", Backend::Trtllm, packed!("b200_sxm-trtllm")),
    ("b200_sxm", Backend::Sglang, packed!("b200_sxm-sglang")),
    ("b200_sxm", Backend::Vllm, packed!("b200_sxm-vllm")),
    ("gb200", Backend::Trtllm, packed!("gb200-trtllm")),
    ("gb200", Backend::Sglang, packed!("gb200-sglang")),
    ("gb200", Backend::Vllm, packed!("gb200-vllm")),
    ("h100_sxm", Backend::Trtllm, packed!("h100_sxm-trtllm")),
    ("h100_sxm", Backend::Sglang, packed!("h100_sxm-sglang")),
    ("h100_sxm", Backend::Vllm, packed!("h100_sxm-vllm")),
    ("h200_sxm", Backend::Trtllm, packed!("h200_sxm-trtllm")),
    ("h200_sxm", Backend::Sglang, packed!("h200_sxm-sglang")),
    ("h200_sxm", Backend::Vllm, packed!("h200_sxm-vllm")),
];

/// NCCL tables of one system, by ascending system.
pub(super) static NCCL: [(&str, Packed); 5] = [
    ("a100_sxm", packed!("a100_sxm-nccl")),
    ("b200_sxm", packed!("b200_sxm-nccl")),
    ("gb200", packed!("gb200-nccl")),
    ("h100_sxm", packed!("h100_sxm-nccl")),
    ("h200_sxm", packed!("h200_sxm-nccl")),
];
