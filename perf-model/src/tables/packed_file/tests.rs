use std::borrow::Cow;

use proptest::prelude::*;

use super::super::embedded::{EMBEDDED, NCCL};
use super::super::wire::{FORMAT_VERSION, MAGIC, PREAMBLE_BYTES};
use super::super::{block, directory::Directory};
use super::{PackedFile, TableError};

/// The smallest packed file.
fn small() -> &'static [u8] {
    NCCL.iter()
        .map(|(_, packed)| packed.bytes)
        .min_by_key(|bytes| bytes.len())
        .unwrap()
}

/// Reads a file to its last slice; says how many slices it has.
fn read_all(bytes: Vec<u8>) -> Result<usize, TableError> {
    let file = PackedFile::parse("test", Cow::Owned(bytes))?;
    let mut slices = 0;
    for table in file.tables() {
        let directory = file.directory(table)?.unwrap();
        for slice in 0..directory.slices() {
            file.grid(directory, slice)?;
            slices += 1;
        }
    }
    Ok(slices)
}

#[test]
fn every_packed_file_reads_to_its_end_and_is_of_what_it_is_listed_for() {
    for (system, backend, packed) in &EMBEDDED {
        let file = PackedFile::parse(packed.name, Cow::Borrowed(packed.bytes)).unwrap();
        assert_eq!(
            (file.header().system.as_str(), file.header().backend.as_str()),
            (*system, backend.name())
        );
        assert!(read_all(packed.bytes.to_vec()).unwrap() > 10, "{}", packed.name);
    }
    for (system, packed) in &NCCL {
        let file = PackedFile::parse(packed.name, Cow::Borrowed(packed.bytes)).unwrap();
        assert_eq!(file.header().system, *system);
        assert!(read_all(packed.bytes.to_vec()).unwrap() >= 8, "{}", packed.name);
    }
}

#[test]
fn any_flipped_bit_is_found() {
    let sound = small();
    for position in 0..sound.len() {
        for bit in [0, 7] {
            let mut broken = sound.to_vec();
            broken[position] ^= 1 << bit;
            let error = read_all(broken).unwrap_err();
            let in_version = (MAGIC.len()..MAGIC.len() + 2).contains(&position);
            assert_eq!(
                matches!(error, TableError::FormatVersion { .. }),
                in_version,
                "byte {position}: {error}"
            );
        }
    }
}

#[test]
fn a_file_that_is_cut_short_or_too_long_is_damaged() {
    let sound = small();
    for length in (0..sound.len()).step_by(7) {
        let cut = read_all(sound[..length].to_vec());
        assert!(
            matches!(cut, Err(TableError::Damaged { .. })),
            "{length} bytes: {cut:?}"
        );
    }
    let mut long = sound.to_vec();
    long.push(0);
    assert!(matches!(read_all(long), Err(TableError::Damaged { .. })));
}

#[test]
fn errors_name_the_file_the_part_and_the_remedy() {
    let mut newer = small().to_vec();
    newer[MAGIC.len()] = 9;
    let message = read_all(newer).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "table file `test` has format version 9, this build reads {FORMAT_VERSION}: repack it with \
             `cargo xtask perf-data`"
        )
    );
    let mut broken = small().to_vec();
    broken[PREAMBLE_BYTES] ^= 1;
    let message = read_all(broken).unwrap_err().to_string();
    assert!(
        message.starts_with("table file `test` is damaged in its index"),
        "{message}"
    );
}

/// The decompressed blocks of a small file: its slices and its directory.
fn raw_blocks() -> Vec<Vec<u8>> {
    let file = PackedFile::parse("test", Cow::Borrowed(small())).unwrap();
    (0..file.blocks.len())
        .map(|block| file.decompress(block).unwrap())
        .collect()
}

proptest! {
    // A checksum can be right and its content wrong, if a writer is: nothing may panic.
    #[test]
    fn no_content_makes_a_decoder_panic(
        position in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..12),
    ) {
        for raw in raw_blocks() {
            let mut changed = raw.clone();
            let start = position.index(changed.len());
            for (target, byte) in changed[start..].iter_mut().zip(&bytes) {
                *target = *byte;
            }
            let _ = block::decode(&changed);
            let _ = Directory::decode(&changed, 2);
            prop_assert!(block::decode(&raw[..start]).is_err());
        }
    }
}
