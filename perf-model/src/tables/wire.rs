//! The packed file format, as far as its writer and its reader must agree on constants.
//!
//! ```text
//! file      := magic[8] version:u16 index_length:u32 index_checksum:u64 index block*
//! index     := system backend data_version origin  table_count (name directory_block)*
//!              block_count (packed_length raw_length checksum:u64)*
//! block     := one brotli stream: a directory or a group of slices
//! directory := column_count column*  axis_count axis*  lane_count lane*  source_count source*  word_count word*
//!              slice_count (key_value{columns} block position)*
//! slices    := slice_count slice_header{slice_count} plane{most significant first}
//! slice_header := axis_count (length first delta*)*  present_count bitmap?  floor:f64 step:f64
//!              planes:u8 predictor:u8  order_count order*
//! plane     := for each slice that has it, one byte per present cell
//! ```
//! Integers without a width are LEB128; fixed ones are little-endian; text is a length and UTF-8. A latency is
//! `2^(floor + code × step)` milliseconds; codes are stored as zigzagged residuals of
//! [`Predictor`](super::predictor::Predictor), split into byte planes. The bitmap is left out when every cell is
//! present. Key values of text columns are positions in the directory's words; a `lane` value is a position in the
//! directory's lanes, which are in the order in which they are tried.

/// First bytes of every packed file.
pub const MAGIC: [u8; 8] = *b"DGDRPERF";

/// Version of the format that this library reads and `cargo xtask perf-data` writes.
pub const FORMAT_VERSION: u16 = 1;

/// Bytes before the index: magic, version, length and checksum of the index.
pub const PREAMBLE_BYTES: usize = 22;

/// Most bytes that one decompressed block may have.
pub const MAX_BLOCK_BYTES: usize = 1 << 26;

/// Most cells that one grid may have.
pub const MAX_CELLS: usize = 1 << 22;

/// Most axes that one grid may have.
pub const MAX_AXES: usize = 4;

/// FNV-1a over little-endian 8-byte words (the last one padded with zeros), seeded with the length: it finds damage,
/// not malice, and is fast enough to be checked on every read.
pub fn checksum(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let seed = bytes
        .len()
        .to_le_bytes()
        .into_iter()
        .fold(OFFSET_BASIS, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        });
    bytes.chunks(8).fold(seed, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word))
            .wrapping_mul(PRIME)
            .rotate_left(23)
    })
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn checksum_sees_every_bit_and_the_length() {
        let bytes: Vec<u8> = (0..37).collect();
        let sound = checksum(&bytes);
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[position] ^= 1 << bit;
                assert_ne!(checksum(&broken), sound, "bit {bit} of byte {position}");
            }
        }
        assert_ne!(checksum(&bytes[..36]), sound);
        assert_ne!(checksum(&[0; 7]), checksum(&[0; 8]));
    }
}
