//! What a table has: its key columns, its axes and where each slice is.

use super::reader::{Damage, Reader};

/// The slices of one table by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    columns: Vec<String>,
    axes: Vec<String>,
    lanes: Vec<String>,
    sources: Vec<String>,
    words: Vec<String>,
    keys: Vec<u32>,
    places: Vec<Place>,
}

/// Where a slice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: usize,
    pub(super) position: usize,
}

impl Directory {
    pub(super) fn decode(raw: &[u8], blocks: usize) -> Result<Self, Damage> {
        let mut reader = Reader::new("directory", raw);
        let columns = reader.texts()?;
        let axes = reader.texts()?;
        let lanes = reader.texts()?;
        let sources = reader.texts()?;
        let words = reader.texts()?;
        let count = reader.count()?;
        let mut keys = Vec::with_capacity(count * columns.len());
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            for _ in &columns {
                keys.push(reader.integer()?);
            }
            places.push(Place {
                block: reader.size(blocks.saturating_sub(1))?,
                position: reader.size(raw.len())?,
            });
        }
        let directory = Self {
            columns,
            axes,
            lanes,
            sources,
            words,
            keys,
            places,
        };
        // Lookups are binary searches.
        let sorted = (1..count).all(|slice| directory.key(slice - 1) < directory.key(slice));
        if sorted && !directory.columns.is_empty() {
            reader.end().map(|()| directory)
        } else {
            Err(reader.damage())
        }
    }

    /// Names of the key columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Names of the axes, outermost first.
    pub fn axes(&self) -> &[String] {
        &self.axes
    }

    /// Kernels that were measured for the same operator, in the order in which they are tried.
    pub fn lanes(&self) -> &[String] {
        &self.lanes
    }

    /// The measurement files that the table was merged from, the preferred one first.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The key value that stands for a text.
    pub fn word(&self, text: &str) -> Option<u32> {
        let position = self.words.iter().position(|word| word == text)?;
        u32::try_from(position).ok()
    }

    /// The text that a key value stands for.
    pub fn text(&self, word: u32) -> Option<&str> {
        self.words.get(usize::try_from(word).ok()?).map(String::as_str)
    }

    /// Number of slices.
    pub fn slices(&self) -> usize {
        self.places.len()
    }

    /// Key of a slice; slices are in ascending order of keys.
    pub fn key(&self, slice: usize) -> &[u32] {
        let width = self.columns.len();
        &self.keys[slice * width..(slice + 1) * width]
    }

    /// The slice of this key.
    pub fn find(&self, key: &[u32]) -> Option<usize> {
        let (mut low, mut high) = (0, self.slices());
        while low < high {
            let middle = low.midpoint(high);
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub(super) fn place(&self, slice: usize) -> Place {
        self.places[slice]
    }
}

#[cfg(test)]
impl Directory {
    /// A directory without blocks, of ascending keys.
    pub(crate) fn of_keys(columns: &[&str], words: &[&str], keys: &[&[u32]]) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            columns: texts(columns),
            axes: Vec::new(),
            lanes: Vec::new(),
            sources: Vec::new(),
            words: texts(words),
            keys: keys.concat(),
            places: vec![
                Place {
                    block: 0,
                    position: 0
                };
                keys.len()
            ],
        }
    }
}
