//! One packed file: its index, and lazy access to its blocks.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use brotli_decompressor::{BrotliResult, brotli_decode};

use super::block;
use super::directory::Directory;
use super::error::TableError;
use super::grid::Grid;
use super::reader::{Damage, Reader};
use super::wire::{FORMAT_VERSION, MAGIC, MAX_BLOCK_BYTES, PREAMBLE_BYTES, checksum};

/// The version of an engine that was not measured.
pub const UNMEASURED: &str = "unmeasured";

/// What a packed file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The system measured.
    pub system: String,
    /// The engine measured, or `nccl`.
    pub backend: String,
    /// The version measured.
    pub version: String,
    /// Where the measurements were taken from.
    pub origin: String,
}

/// A packed file, of which only what is asked for gets decompressed, once.
#[derive(Debug)]
pub struct PackedFile {
    name: String,
    header: Header,
    bytes: Cow<'static, [u8]>,
    tables: Vec<(String, usize, OnceLock<Directory>)>,
    blocks: Vec<(Extent, OnceLock<Vec<Arc<Grid>>>)>,
}

#[derive(Debug, Clone, Copy)]
struct Extent {
    start: usize,
    packed: usize,
    raw: usize,
    checksum: u64,
}

impl PackedFile {
    /// Reads the index of a file; `name` appears in error messages.
    ///
    /// # Errors
    /// [`TableError::FormatVersion`] for another version of the format, [`TableError::Damaged`] for anything that is
    /// not such a file.
    pub fn parse(name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, TableError> {
        let damaged = |damage: Damage| TableError::Damaged {
            file: name.to_owned(),
            part: damage.part,
            at: damage.at,
        };
        let mut preamble = Reader::new("preamble", bytes.get(..PREAMBLE_BYTES).unwrap_or_default());
        let magic = preamble.take(MAGIC.len()).map_err(damaged)?;
        if magic != MAGIC {
            return Err(damaged(Damage {
                part: "preamble",
                at: 0,
            }));
        }
        let found = preamble.fixed_u16().map_err(damaged)?;
        if found != FORMAT_VERSION {
            return Err(TableError::FormatVersion {
                file: name.to_owned(),
                found,
                known: FORMAT_VERSION,
            });
        }
        let length = preamble.fixed_u32().map_err(damaged)?;
        let sum = preamble.fixed_u64().map_err(damaged)?;
        let index_damage = Damage { part: "index", at: 0 };
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(PREAMBLE_BYTES))
            .ok_or(index_damage)
            .map_err(damaged)?;
        let index = bytes
            .get(PREAMBLE_BYTES..end)
            .filter(|index| checksum(index) == sum)
            .ok_or(index_damage)
            .map_err(damaged)?;
        let (header, tables, blocks) = read_index(index, end, bytes.len()).map_err(damaged)?;
        Ok(Self {
            name: name.to_owned(),
            header,
            tables,
            blocks,
            bytes,
        })
    }

    /// A file without tables.
    pub fn empty(system: &str, backend: &str) -> Self {
        let header = Header {
            system: system.to_owned(),
            backend: backend.to_owned(),
            version: UNMEASURED.to_owned(),
            origin: "nothing was measured".to_owned(),
        };
        Self {
            name: format!("{system}-{backend}"),
            header,
            bytes: Cow::Borrowed(&[]),
            tables: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// What the file says about itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Names of the tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|(name, ..)| name.as_str())
    }

    /// The directory of a table; none when the file has no such table.
    ///
    /// # Errors
    /// [`TableError::Damaged`].
    pub fn directory(&self, table: &str) -> Result<Option<&Directory>, TableError> {
        let Some((_, block, directory)) = self.tables.iter().find(|(name, ..)| name == table) else {
            return Ok(None);
        };
        if let Some(directory) = directory.get() {
            return Ok(Some(directory));
        }
        let decoded = Directory::decode(&self.decompress(*block)?, self.blocks.len())
            .map_err(|damage| self.damaged(damage))?;
        Ok(Some(directory.get_or_init(|| decoded)))
    }

    /// A slice of a table.
    ///
    /// # Errors
    /// [`TableError::Damaged`].
    pub fn grid(&self, directory: &Directory, slice: usize) -> Result<Arc<Grid>, TableError> {
        let place = directory.place(slice);
        let (_, grids) = self.blocks.get(place.block).ok_or_else(|| {
            self.damaged(Damage {
                part: "directory",
                at: slice,
            })
        })?;
        let grids = if let Some(grids) = grids.get() {
            grids
        } else {
            let decoded =
                block::decode(&self.decompress(place.block)?).map_err(|damage| self.damaged(damage))?;
            grids.get_or_init(|| decoded)
        };
        grids.get(place.position).cloned().ok_or_else(|| {
            self.damaged(Damage {
                part: "directory",
                at: slice,
            })
        })
    }

    fn decompress(&self, block: usize) -> Result<Vec<u8>, TableError> {
        let (extent, _) = &self.blocks[block];
        let damage = Damage {
            part: "block",
            at: extent.start,
        };
        let packed = &self.bytes[extent.start..extent.start + extent.packed];
        if checksum(packed) != extent.checksum {
            return Err(self.damaged(damage));
        }
        let mut raw = vec![0; extent.raw];
        let outcome = brotli_decode(packed, &mut raw);
        if matches!(outcome.result, BrotliResult::ResultSuccess) && outcome.decoded_size == extent.raw {
            Ok(raw)
        } else {
            Err(self.damaged(damage))
        }
    }

    fn damaged(&self, damage: Damage) -> TableError {
        TableError::Damaged {
            file: self.name.clone(),
            part: damage.part,
            at: damage.at,
        }
    }
}

type Tables = Vec<(String, usize, OnceLock<Directory>)>;
type Blocks = Vec<(Extent, OnceLock<Vec<Arc<Grid>>>)>;

fn read_index(index: &[u8], body: usize, file: usize) -> Result<(Header, Tables, Blocks), Damage> {
    let mut reader = Reader::new("index", index);
    let header = Header {
        system: reader.text()?,
        backend: reader.text()?,
        version: reader.text()?,
        origin: reader.text()?,
    };
    let tables = (0..reader.count()?)
        .map(|_| Ok((reader.text()?, reader.size(index.len())?, OnceLock::new())))
        .collect::<Result<Tables, Damage>>()?;
    let mut start = body;
    let mut blocks: Blocks = Vec::new();
    for _ in 0..reader.count()? {
        let extent = Extent {
            start,
            packed: reader.size(file)?,
            raw: reader.size(MAX_BLOCK_BYTES)?,
            checksum: reader.fixed_u64()?,
        };
        start += extent.packed;
        blocks.push((extent, OnceLock::new()));
    }
    let known = tables.iter().all(|(_, directory, _)| *directory < blocks.len());
    if start == file && known {
        reader.end().map(|()| (header, tables, blocks))
    } else {
        Err(reader.damage())
    }
}

#[cfg(test)]
mod tests;
