//! Writes the packed file format of `dgdr_perf_model::tables::wire`.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use dgdr_perf_model::tables::predictor::{Predictor, absent, zigzag};
use dgdr_perf_model::tables::wire::{FORMAT_VERSION, MAGIC, checksum};

use crate::table::{Slice, Table};

/// The largest relative error that a packed latency may have.
pub(crate) const MOST_ERROR: f64 = 1e-4;

/// Byte planes of a code: two, or three where two would be too coarse for the range of a slice.
const PLANES: [u8; 2] = [2, 3];

/// What a packed file says about itself.
#[derive(Debug)]
pub(crate) struct FileHeader {
    pub(crate) system: String,
    pub(crate) backend: String,
    pub(crate) version: String,
    pub(crate) origin: String,
    /// How hard to compress; the file does not say.
    pub(crate) effort: Effort,
}

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// As small as can be, for files that are kept.
    Smallest,
    /// Fast, for tables that are read again at once.
    Fast,
}

impl Effort {
    /// Brotli's quality.
    const fn quality(self) -> i32 {
        match self {
            Self::Smallest => 11,
            Self::Fast => 1,
        }
    }
}

/// A compressed block.
struct Block {
    packed: Vec<u8>,
    raw: usize,
}

/// A packed file, and how many bytes of it each table takes.
pub(crate) fn packed_file(header: &FileHeader, tables: &[Table]) -> anyhow::Result<(Vec<u8>, Vec<usize>)> {
    let mut blocks = Vec::new();
    let mut directories = Vec::new();
    let mut sizes = Vec::new();
    for table in tables {
        let first = blocks.len();
        let directory = add_slices(table, &mut blocks, header.effort)
            .with_context(|| format!("table {}", table.spec.name))?;
        directories.push(blocks.len());
        blocks.push(compressed(&directory, header.effort)?);
        sizes.push(blocks[first..].iter().map(|block| block.packed.len()).sum());
    }
    let mut index = Vec::new();
    for text in [&header.system, &header.backend, &header.version, &header.origin] {
        put_text(&mut index, text)?;
    }
    put_size(&mut index, tables.len())?;
    for (table, directory) in tables.iter().zip(directories) {
        put_text(&mut index, table.spec.name)?;
        put_size(&mut index, directory)?;
    }
    put_size(&mut index, blocks.len())?;
    for block in &blocks {
        put_size(&mut index, block.packed.len())?;
        put_size(&mut index, block.raw)?;
        index.extend(checksum(&block.packed).to_le_bytes());
    }
    let mut file = MAGIC.to_vec();
    file.extend(FORMAT_VERSION.to_le_bytes());
    file.extend(u32::try_from(index.len())?.to_le_bytes());
    file.extend(checksum(&index).to_le_bytes());
    file.extend(index);
    file.extend(blocks.into_iter().flat_map(|block| block.packed));
    Ok((file, sizes))
}

/// Adds a table's blocks of slices; returns its directory.
fn add_slices(table: &Table, blocks: &mut Vec<Block>, effort: Effort) -> anyhow::Result<Vec<u8>> {
    let mut groups: BTreeMap<Vec<u32>, Vec<&Vec<u32>>> = BTreeMap::new();
    for key in table.slices.keys() {
        let group = table.spec.grouped.iter().map(|column| key[*column]).collect();
        groups.entry(group).or_default().push(key);
    }
    let mut places: BTreeMap<&Vec<u32>, (usize, usize)> = BTreeMap::new();
    for keys in groups.into_values() {
        let grids = keys
            .iter()
            .map(|key| {
                encoded(&table.slices[*key], table.spec.ordered).with_context(|| format!("slice {key:?}"))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (position, key) in keys.into_iter().enumerate() {
            places.insert(key, (blocks.len(), position));
        }
        blocks.push(compressed(&slices(&grids)?, effort)?);
    }
    let mut directory = Vec::new();
    put_texts(&mut directory, table.spec.columns)?;
    put_texts(&mut directory, table.spec.axes)?;
    put_texts(&mut directory, &table.lanes)?;
    put_texts(&mut directory, &table.sources)?;
    put_texts(&mut directory, &table.words)?;
    put_size(&mut directory, places.len())?;
    for (key, (block, position)) in places {
        for value in key {
            put(&mut directory, *value);
        }
        put_size(&mut directory, block)?;
        put_size(&mut directory, position)?;
    }
    Ok(directory)
}

/// One slice, ready to be written.
#[derive(Debug)]
struct EncodedGrid {
    header: Vec<u8>,
    planes: u8,
    residuals: Vec<u32>,
}

/// A slice as a dense grid.
struct Dense {
    axes: Vec<Vec<u32>>,
    cells: Vec<Option<f64>>,
}

fn dense(slice: &Slice) -> anyhow::Result<Dense> {
    let width = slice.points.keys().next().context("no measurements")?.len();
    let axes: Vec<Vec<u32>> = (0..width)
        .map(|axis| {
            let mut coordinates: Vec<u32> = slice.points.keys().map(|at| at[axis]).collect();
            coordinates.sort_unstable();
            coordinates.dedup();
            coordinates
        })
        .collect();
    let mut cells = vec![None; axes.iter().map(Vec::len).product()];
    for (at, ms) in &slice.points {
        cells[cell_of(&axes, at)?] = Some(*ms);
    }
    Ok(Dense { axes, cells })
}

fn cell_of(axes: &[Vec<u32>], at: &[u32]) -> anyhow::Result<usize> {
    axes.iter().zip(at).try_fold(0, |cell, (axis, coordinate)| {
        let position = axis
            .binary_search(coordinate)
            .ok()
            .context("a coordinate got lost")?;
        Ok(cell * axis.len() + position)
    })
}

/// The order in which cells of the outer axes first appear when measurements are walked by the innermost coordinate,
/// then by the outer ones, each in the order in which it was first read.
fn appearance(slice: &Slice, axes: &[Vec<u32>]) -> anyhow::Result<Vec<u32>> {
    let mut seen: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    let rank = |path: &[u32], at: &mut BTreeMap<Vec<u32>, usize>| {
        let next = at.len();
        *at.entry(path.to_vec()).or_insert(next)
    };
    let mut walk = Vec::with_capacity(slice.read.len());
    for at in &slice.read {
        let (inner, outer) = at.split_last().context("a measurement without coordinates")?;
        let mut path = vec![*inner];
        let mut ranks = vec![rank(&path, &mut seen)];
        for coordinate in outer {
            path.push(*coordinate);
            ranks.push(rank(&path, &mut seen));
        }
        walk.push((ranks, outer));
    }
    walk.sort();
    let outer_axes = &axes[..axes.len() - 1];
    let mut order: Vec<u32> = Vec::new();
    let mut placed = std::collections::BTreeSet::new();
    for (_, outer) in walk {
        let cell = u32::try_from(cell_of(outer_axes, outer)?)?;
        if placed.insert(cell) {
            order.push(cell);
        }
    }
    Ok(order)
}

fn encoded(slice: &Slice, ordered: bool) -> anyhow::Result<EncodedGrid> {
    let grid = dense(slice)?;
    let order = if ordered {
        appearance(slice, &grid.axes)?
    } else {
        Vec::new()
    };
    let logs: Vec<Option<f64>> = grid.cells.iter().map(|ms| ms.map(f64::log2)).collect();
    let (floor, ceiling) = logs
        .iter()
        .flatten()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
            (low.min(*log), high.max(*log))
        });
    let step_of = |planes: u8| (ceiling - floor) / f64::from((1_u32 << (8 * planes)) - 1);
    let planes = PLANES
        .into_iter()
        .find(|planes| (step_of(*planes) / 2.0).exp2() - 1.0 <= MOST_ERROR)
        .with_context(|| {
            format!(
                "latencies span {:.1} octaves, too many for {MOST_ERROR}",
                ceiling - floor
            )
        })?;
    let step = step_of(planes);
    let codes = logs
        .iter()
        .map(|log| log.map(|log| code(log, floor, step)).transpose())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shape: Vec<usize> = grid.axes.iter().map(Vec::len).collect();
    let (predictor, residuals) = smallest_residuals(&shape, &codes, u32::from(planes) * 8)?;
    let mut header = Vec::new();
    put_size(&mut header, grid.axes.len())?;
    for axis in &grid.axes {
        put_size(&mut header, axis.len())?;
        let mut last = 0;
        for coordinate in axis {
            put(&mut header, coordinate - last);
            last = *coordinate;
        }
    }
    put_size(&mut header, slice.points.len())?;
    if slice.points.len() < codes.len() {
        header.extend(bitmap(&codes));
    }
    header.extend(floor.to_le_bytes());
    header.extend(step.to_le_bytes());
    header.extend([planes, predictor]);
    put_size(&mut header, order.len())?;
    for cell in order {
        put(&mut header, cell);
    }
    Ok(EncodedGrid {
        header,
        planes,
        residuals,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded and checked to be within the range of u32"
)]
#[expect(clippy::cast_sign_loss, reason = "checked not to be negative")]
fn code(log: f64, floor: f64, step: f64) -> anyhow::Result<u32> {
    let code = if step > 0.0 {
        ((log - floor) / step).round()
    } else {
        0.0
    };
    ensure!(
        (0.0..=f64::from(u32::MAX)).contains(&code),
        "code {code} is out of range"
    );
    Ok(code as u32)
}

fn bitmap(codes: &[Option<u32>]) -> Vec<u8> {
    codes
        .chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (bit, code)| byte | (u8::from(code.is_some()) << bit))
        })
        .collect()
}

/// The predictor with the smallest residuals, and these.
fn smallest_residuals(shape: &[usize], codes: &[Option<u32>], bits: u32) -> anyhow::Result<(u8, Vec<u32>)> {
    let mut best: Option<(u64, u8, Vec<u32>)> = None;
    for axes in 1..1_u8 << shape.len() {
        let residuals = residuals(&Predictor::new(shape, axes), codes, bits)?;
        let cost = residuals
            .iter()
            .map(|residual| u64::from(32 - residual.leading_zeros()))
            .sum();
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, axes, residuals));
        }
    }
    let (_, axes, residuals) = best.context("a grid without axes")?;
    Ok((axes, residuals))
}

fn residuals(predictor: &Predictor, codes: &[Option<u32>], bits: u32) -> anyhow::Result<Vec<u32>> {
    let mut residuals = Vec::with_capacity(codes.len());
    let mut filled = vec![0; codes.len()];
    predictor.fill(&mut filled, |cell, prediction| {
        Ok::<_, anyhow::Error>(match codes[cell] {
            Some(code) => {
                residuals.push(zigzag(code, prediction, bits));
                code
            }
            None => absent(prediction, bits),
        })
    })?;
    Ok(residuals)
}

/// A block of slices: all headers, then the byte planes, most significant first.
fn slices(grids: &[EncodedGrid]) -> anyhow::Result<Vec<u8>> {
    let mut raw = Vec::new();
    put_size(&mut raw, grids.len())?;
    for grid in grids {
        raw.extend(&grid.header);
    }
    let deepest = grids.iter().map(|grid| grid.planes).max().unwrap_or(0);
    for plane in (0..deepest).rev() {
        for grid in grids.iter().filter(|grid| plane < grid.planes) {
            raw.extend(
                grid.residuals
                    .iter()
                    .map(|residual| residual.to_le_bytes()[usize::from(plane)]),
            );
        }
    }
    Ok(raw)
}

fn compressed(raw: &[u8], effort: Effort) -> anyhow::Result<Block> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: effort.quality(),
        lgwin: 22,
        size_hint: raw.len(),
        ..Default::default()
    };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*raw, &mut packed, &params).context("compressing")?;
    Ok(Block {
        packed,
        raw: raw.len(),
    })
}

fn put(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn put_size(out: &mut Vec<u8>, value: usize) -> anyhow::Result<()> {
    put(out, u32::try_from(value)?);
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: &str) -> anyhow::Result<()> {
    put_size(out, text.len())?;
    out.extend(text.as_bytes());
    Ok(())
}

fn put_texts<T: AsRef<str>>(out: &mut Vec<u8>, texts: &[T]) -> anyhow::Result<()> {
    put_size(out, texts.len())?;
    texts.iter().try_for_each(|text| put_text(out, text.as_ref()))
}

#[cfg(test)]
mod tests;
