use super::{KdaKernel, KdaShape, rounded_to_even};
use crate::operators::SequenceTokens;
use crate::tables::Directory;

fn shape(kernel: KdaKernel, heads: u32) -> KdaShape {
    KdaShape {
        kernel,
        hidden: 7168,
        conv_width: 4,
        key_heads: heads,
        key_dim: 128,
        value_heads: heads,
        value_dim: 128,
        draft_tokens: 4,
    }
}

/// Measurements of kernels with numbers of heads.
fn directory(measured: &[(KdaKernel, u32)]) -> Directory {
    let mut words: Vec<&str> = measured.iter().map(|(kernel, _)| kernel.name()).collect();
    words.sort_unstable();
    words.dedup();
    let mut keys: Vec<[u32; 7]> = measured
        .iter()
        .map(|(kernel, heads)| {
            let word = words.binary_search(&kernel.name()).unwrap();
            [u32::try_from(word).unwrap(), 7168, 4, *heads, 128, *heads, 128]
        })
        .collect();
    keys.sort_unstable();
    let columns = [
        "kernel_source",
        "hidden",
        "conv_width",
        "key_heads",
        "key_dim",
        "value_heads",
        "value_dim",
    ];
    let keys: Vec<&[u32]> = keys.iter().map(<[u32; 7]>::as_slice).collect();
    Directory::of_keys(&columns, &words, &keys)
}

#[test]
fn a_decode_step_is_fused_where_only_the_fused_kernel_has_its_shape() {
    let measured = directory(&[
        (KdaKernel::Recurrence, 24),
        (KdaKernel::FusedStep, 12),
        (KdaKernel::FusedStep, 24),
    ]);
    let is_fused = |kernel, heads| shape(kernel, heads).is_served_by(&measured, KdaKernel::FusedStep);
    assert!(is_fused(KdaKernel::Recurrence, 12));
    assert!(is_fused(KdaKernel::StepConvolution, 24));
    assert!(!is_fused(KdaKernel::Recurrence, 24));
    assert!(!is_fused(KdaKernel::Recurrence, 48));
}

#[test]
fn drafts_are_checked_by_the_fused_kernel_where_no_shape_has_the_parts() {
    let fused = [(KdaKernel::FusedVerify, 12)];
    let both = [(KdaKernel::FusedVerify, 12), (KdaKernel::Verify, 48)];
    let is_fused = |measured: &[(KdaKernel, u32)], kernel| {
        shape(kernel, 96).is_served_by(&directory(measured), KdaKernel::FusedVerify)
    };
    assert!(is_fused(&fused, KdaKernel::Verify));
    assert!(is_fused(&fused, KdaKernel::VerifyConvolution));
    assert!(!is_fused(&both, KdaKernel::Verify));
}

#[test]
fn another_number_of_heads_stands_in_where_it_is_the_nearest() {
    let measured = directory(&[
        (KdaKernel::ChunkScan, 12),
        (KdaKernel::ChunkScan, 96),
        (KdaKernel::PromptConvolution, 48),
    ]);
    let heads = |wanted| {
        let slice = shape(KdaKernel::ChunkScan, wanted).find_alike(&measured)?;
        Some(measured.key(slice)[5])
    };
    assert_eq!(heads(24), Some(12));
    assert_eq!(heads(60), Some(96));
    // Of two equally near ones the smaller.
    assert_eq!(heads(54), Some(12));
    assert_eq!(shape(KdaKernel::FlashScan, 24).find_alike(&measured), None);
}

#[test]
fn sequences_that_check_drafts_are_counted_once() {
    let requests = |kernel, batch| shape(kernel, 96).requests(SequenceTokens { batch, tokens: 1 });
    let checked = |batch| SequenceTokens { batch, tokens: 4 };
    assert_eq!(requests(KdaKernel::Verify, 16), checked(4));
    assert_eq!(requests(KdaKernel::Verify, 1), checked(1));
    assert_eq!(
        requests(KdaKernel::Recurrence, 16),
        SequenceTokens { batch: 16, tokens: 1 }
    );
    // Halves go to the even neighbour.
    assert_eq!(
        [10, 14, 11, 9].map(|batch| rounded_to_even(batch, 4)),
        [2, 4, 3, 2]
    );
}
