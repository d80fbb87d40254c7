//! Decodes a group of slices.

use std::sync::Arc;

use super::grid::{Grid, LogScale, octaves_along};
use super::predictor::{Predictor, absent, unzigzag};
use super::reader::{Damage, Reader};
use super::wire::{MAX_AXES, MAX_CELLS};

const PART: &str = "slices";

/// What precedes the byte planes of one slice.
struct SliceHeader {
    axes: Vec<Box<[u32]>>,
    present: Box<[bool]>,
    measured: usize,
    scale: LogScale,
    planes: u8,
    predictor: u8,
    order: Box<[u32]>,
}

/// All slices of a decompressed block.
pub(super) fn decode(raw: &[u8]) -> Result<Vec<Arc<Grid>>, Damage> {
    let mut reader = Reader::new(PART, raw);
    let count = reader.count()?;
    let headers = (0..count)
        .map(|_| slice_header(&mut reader))
        .collect::<Result<Vec<_>, _>>()?;
    let mut residuals: Vec<Vec<u32>> = headers.iter().map(|header| vec![0; header.measured]).collect();
    let deepest = headers.iter().map(|header| header.planes).max().unwrap_or(0);
    for plane in (0..deepest).rev() {
        for (header, residuals) in headers.iter().zip(&mut residuals) {
            if plane < header.planes {
                let bytes = reader.take(header.measured)?;
                for (residual, byte) in residuals.iter_mut().zip(bytes) {
                    *residual |= u32::from(*byte) << (8 * plane);
                }
            }
        }
    }
    reader.end()?;
    headers
        .into_iter()
        .zip(residuals)
        .map(|(header, residuals)| grid(header, &residuals).map(Arc::new))
        .collect()
}

fn slice_header(reader: &mut Reader<'_>) -> Result<SliceHeader, Damage> {
    let axes = (0..reader.size(MAX_AXES)?)
        .map(|_| axis(reader))
        .collect::<Result<Vec<_>, _>>()?;
    let cells = axes
        .iter()
        .try_fold(1_usize, |cells, axis| cells.checked_mul(axis.len()))
        .filter(|cells| (1..=MAX_CELLS).contains(cells) && !axes.is_empty())
        .ok_or_else(|| reader.damage())?;
    let measured = reader.size(cells)?;
    let present = presence(reader, measured, cells)?;
    let scale = LogScale {
        floor: reader.finite()?,
        step: reader.finite()?,
    };
    let planes = reader.byte()?;
    let predictor = reader.byte()?;
    if !(1..=3).contains(&planes) || measured == 0 {
        return Err(reader.damage());
    }
    let outer = cells / axes.last().map_or(1, |axis| axis.len());
    let order = (0..reader.size(outer)?)
        .map(|_| {
            let site = reader.integer()?;
            let known = usize::try_from(site).is_ok_and(|site| site < outer);
            if known { Ok(site) } else { Err(reader.damage()) }
        })
        .collect::<Result<_, _>>()?;
    Ok(SliceHeader {
        axes,
        present,
        measured,
        scale,
        planes,
        predictor,
        order,
    })
}

fn axis(reader: &mut Reader<'_>) -> Result<Box<[u32]>, Damage> {
    let length = reader.count()?;
    let mut coordinates = Vec::with_capacity(length);
    let mut coordinate = 0_u32;
    for position in 0..length {
        let delta = reader.integer()?;
        if delta == 0 && position > 0 {
            return Err(reader.damage());
        }
        coordinate = coordinate.checked_add(delta).ok_or_else(|| reader.damage())?;
        coordinates.push(coordinate);
    }
    Ok(coordinates.into())
}

fn presence(reader: &mut Reader<'_>, measured: usize, cells: usize) -> Result<Box<[bool]>, Damage> {
    if measured == cells {
        return Ok(vec![true; cells].into());
    }
    let bytes = reader.take(cells.div_ceil(8))?;
    let present: Box<[bool]> = (0..cells)
        .map(|cell| bytes[cell / 8] >> (cell % 8) & 1 == 1)
        .collect();
    if present.iter().filter(|present| **present).count() == measured {
        Ok(present)
    } else {
        Err(reader.damage())
    }
}

fn grid(header: SliceHeader, residuals: &[u32]) -> Result<Grid, Damage> {
    let bits = 8 * u32::from(header.planes);
    let shape: Vec<usize> = header.axes.iter().map(|axis| axis.len()).collect();
    let mut codes = vec![0; header.present.len()];
    let mut residuals = residuals.iter();
    Predictor::new(&shape, header.predictor).fill(&mut codes, |cell, prediction| {
        if header.present[cell] {
            let residual = residuals.next().ok_or(Damage { part: PART, at: cell })?;
            Ok(unzigzag(*residual, prediction, bits))
        } else {
            Ok(absent(prediction, bits))
        }
    })?;
    Ok(Grid {
        octaves: octaves_along(&header.axes),
        axes: header.axes.into(),
        present: header.present,
        codes: codes.into(),
        scale: header.scale,
        order: header.order,
    })
}
