//! One NumPy array of one dimension.
//!
//! **Source**: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1.0 to 3.0.

use dgdr_units::real;

const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy aligns the data at multiples of this.
const ALIGNMENT: usize = 64;

/// What is wrong with an array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayProblem {
    /// It does not start as the format says, or ends in the middle of its header.
    #[error("not a NumPy array")]
    NotAnArray,
    /// The header lacks a key or has an unreadable value.
    #[error("the header has no readable {key:?}")]
    Header {
        /// The key.
        key: &'static str,
    },
    /// It has more than one dimension.
    #[error("shape ({shape}) has more than one dimension")]
    Dimensions {
        /// The shape as written.
        shape: String,
    },
    /// Its type is no 32- or 64-bit integer or float.
    #[error("type {descr:?} is not a 32- or 64-bit integer or float")]
    Type {
        /// The type as written.
        descr: String,
    },
    /// It is shorter than its shape says.
    #[error("it holds {found} bytes of data, its shape says {expected}")]
    Truncated {
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// It holds a negative integer, which none of our quantities is.
    #[error("element {index} is negative")]
    Negative {
        /// Its index.
        index: usize,
    },
}

/// Writes float64.
pub(super) fn write_real(numbers: impl IntoIterator<Item = f64>) -> Vec<u8> {
    let data: Vec<[u8; 8]> = numbers.into_iter().map(f64::to_le_bytes).collect();
    write("<f8", &format!("{},", data.len()), &data)
}

/// Writes float64 of two dimensions, row by row; all rows have one length.
pub(super) fn write_table(rows: &[Vec<f64>]) -> Vec<u8> {
    let width = rows.first().map_or(0, Vec::len);
    let numbers = rows.iter().flatten();
    let data: Vec<[u8; 8]> = numbers.map(|number| number.to_le_bytes()).collect();
    write("<f8", &format!("{}, {width}", rows.len()), &data)
}

/// Writes int64.
pub(super) fn write_whole(counts: &[i64]) -> Vec<u8> {
    let data: Vec<[u8; 8]> = counts.iter().map(|count| count.to_le_bytes()).collect();
    write("<i8", &format!("{},", data.len()), &data)
}

fn write(descr: &str, shape: &str, data: &[[u8; 8]]) -> Vec<u8> {
    /// Magic, version and header length of version 1.0.
    const PREFIX: usize = 10;
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padded = (PREFIX + header.len() + 1).next_multiple_of(ALIGNMENT) - PREFIX;
    header.push_str(&" ".repeat(padded - header.len() - 1));
    header.push('\n');
    // Two lengths of at most 20 digits: the header is always 118 bytes long.
    let length = u16::try_from(header.len()).unwrap_or(u16::MAX);
    [
        MAGIC,
        &[1, 0],
        &length.to_le_bytes(),
        header.as_bytes(),
        data.as_flattened(),
    ]
    .concat()
}

/// Reads an array of one dimension (or a single number) of any accepted type.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<f64>, ArrayProblem> {
    let (header, data) = split(bytes).ok_or(ArrayProblem::NotAnArray)?;
    let descr = quoted(header, "descr")?;
    let length = length(header)?;
    let type_error = || ArrayProblem::Type {
        descr: descr.to_owned(),
    };
    let mut chars = descr.chars();
    let big_endian = match chars.next() {
        Some('<' | '=') => false,
        Some('>') => true,
        _ => return Err(type_error()),
    };
    let elements = Elements {
        data,
        length,
        big_endian,
    };
    match chars.as_str() {
        "f8" => Ok(elements.each(f64::from_le_bytes)?.collect()),
        "f4" => Ok(elements.each(f32::from_le_bytes)?.map(f64::from).collect()),
        "i8" => not_negative(elements.each(i64::from_le_bytes)?),
        "i4" => not_negative(elements.each(i32::from_le_bytes)?.map(i64::from)),
        "u8" => Ok(elements.each(u64::from_le_bytes)?.map(real).collect()),
        "u4" => Ok(elements.each(u32::from_le_bytes)?.map(f64::from).collect()),
        _ => Err(type_error()),
    }
}

/// The raw elements of an array.
struct Elements<'a> {
    data: &'a [u8],
    length: usize,
    big_endian: bool,
}

impl<'a> Elements<'a> {
    /// Each element as `read` sees its bytes, least significant first.
    fn each<const N: usize, T: 'a>(
        self,
        read: fn([u8; N]) -> T,
    ) -> Result<impl Iterator<Item = T> + 'a, ArrayProblem> {
        let Self {
            data,
            length,
            big_endian,
        } = self;
        let (whole, _) = data.as_chunks::<N>();
        let elements = whole.get(..length).ok_or_else(|| ArrayProblem::Truncated {
            expected: length.saturating_mul(N),
            found: data.len(),
        })?;
        Ok(elements.iter().map(move |bytes| {
            let mut bytes = *bytes;
            if big_endian {
                bytes.reverse();
            }
            read(bytes)
        }))
    }
}

fn not_negative(counts: impl Iterator<Item = i64>) -> Result<Vec<f64>, ArrayProblem> {
    counts
        .enumerate()
        .map(|(index, count)| {
            u64::try_from(count)
                .map(real)
                .map_err(|_| ArrayProblem::Negative { index })
        })
        .collect()
}

/// Header text and data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((str::from_utf8(header).ok()?, data))
}

/// What follows a key of the header, a Python dictionary.
fn after<'a>(header: &'a str, key: &'static str) -> Result<&'a str, ArrayProblem> {
    let (_, rest) = header
        .split_once(&format!("'{key}':"))
        .ok_or(ArrayProblem::Header { key })?;
    Ok(rest.trim_start())
}

fn quoted<'a>(header: &'a str, key: &'static str) -> Result<&'a str, ArrayProblem> {
    let (value, _) = after(header, key)?
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
        .ok_or(ArrayProblem::Header { key })?;
    Ok(value)
}

/// Number of elements; a single number without dimensions counts as one.
fn length(header: &str) -> Result<usize, ArrayProblem> {
    const KEY: &str = "shape";
    let (shape, _) = after(header, KEY)?
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .ok_or(ArrayProblem::Header { key: KEY })?;
    let mut sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    match (sizes.next(), sizes.next()) {
        (None, _) => Ok(1),
        (Some(size), None) => size.parse().map_err(|_| ArrayProblem::Header { key: KEY }),
        (Some(_), Some(_)) => Err(ArrayProblem::Dimensions {
            shape: shape.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
