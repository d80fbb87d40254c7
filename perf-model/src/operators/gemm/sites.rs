//! The measured (n, k) sites that a projection is priced from.

use crate::tables::Grid;
use crate::{Axis, Beyond, OperatorLatency, Source};

use super::super::curve::{blend, fraction};

/// Sites farther away than this, in octaves, do not speak for a shape.
const REACH: f64 = 2.0;

/// How many of the nearest sites are asked.
const NEIGHBOURS: usize = 4;

/// A measured shape: the first cell of its curve over m, and the cells between its first and last measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) n: u32,
    pub(super) k: u32,
    pub(super) start: usize,
    first: usize,
    last: usize,
}

/// A site at a distance, in octaves of (n, k).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbour {
    pub(super) site: Site,
    pub(super) octaves: f64,
}

/// The sites for one shape.
#[derive(Debug, Clone)]
pub(super) enum Sites {
    /// The shape itself was measured.
    Known(Site),
    /// All sites by distance, equally near ones in the order of first appearance.
    Ranked(Ranked),
}

/// All sites, the nearest first.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    sites: Box<[Neighbour]>,
    n: u32,
    k: u32,
    beyond: Option<Beyond>,
}

impl Site {
    fn of(grid: &Grid, row: usize) -> Option<Self> {
        let [ns, ks, ms] = grid.axes() else {
            return None;
        };
        let start = row * ms.len();
        let measured = |offset: &usize| grid.has(start + offset);
        Some(Self {
            n: ns[row / ks.len()],
            k: ks[row % ks.len()],
            start,
            first: (0..ms.len()).find(measured)?,
            last: (0..ms.len()).rfind(measured)?,
        })
    }

    fn covers(&self, axis: &[u32], m: u64) -> bool {
        self.nearest(axis, m) == m
    }

    /// `m`, or the end of the measured range that is nearest to it.
    pub(super) fn nearest(&self, axis: &[u32], m: u64) -> u64 {
        m.clamp(u64::from(axis[self.first]), u64::from(axis[self.last]))
    }

    /// On the measured curve, linear between points; `split` is the first position of the axis not below `m`.
    pub(super) fn inside(&self, grid: &Grid, m: u64, split: usize) -> Option<OperatorLatency> {
        let axis = grid.axes().last()?;
        let above = (split..=self.last).find(|offset| grid.has(self.start + offset))?;
        let high = grid.latency(self.start + above)?;
        if u64::from(axis[above]) == m {
            return Some(OperatorLatency {
                ms: high,
                source: Source::Measured,
            });
        }
        let below = (self.first..split).rfind(|offset| grid.has(self.start + offset))?;
        let low = grid.latency(self.start + below)?;
        let weight = fraction(u64::from(axis[below]), m, u64::from(axis[above]));
        Some(OperatorLatency {
            ms: blend(low, high, weight),
            source: Source::Interpolated,
        })
    }
}

impl Sites {
    /// The sites for a projection to `n` from `k` features.
    pub(super) fn around(grid: &Grid, n: u32, k: u32) -> Self {
        let [ns, ks, _] = grid.axes() else {
            return Self::Ranked(Ranked::new(Vec::new(), n, k));
        };
        if let (Ok(row), Ok(column)) = (ns.binary_search(&n), ks.binary_search(&k))
            && let Some(site) = Site::of(grid, row * ks.len() + column)
        {
            return Self::Known(site);
        }
        let squared = |axis: &[u32], to: u32| -> Vec<f64> {
            axis.iter()
                .map(|from| octaves_between(*from, to).powi(2))
                .collect()
        };
        let (from_n, from_k) = (squared(ns, n), squared(ks, k));
        let sites: Vec<Neighbour> = grid
            .order()
            .iter()
            .filter_map(|row| {
                let row = usize::try_from(*row).ok()?;
                let site = Site::of(grid, row)?;
                let squared = from_n[row / ks.len()] + from_k[row % ks.len()];
                Some(Neighbour {
                    site,
                    octaves: squared.sqrt(),
                })
            })
            .collect();
        Self::Ranked(Ranked::new(sites, n, k))
    }
}

impl Ranked {
    fn new(mut sites: Vec<Neighbour>, n: u32, k: u32) -> Self {
        sites.sort_by(|a, b| a.octaves.total_cmp(&b.octaves));
        let beyond = [
            beyond_all(n, sites.iter().map(|near| near.site.n)),
            beyond_all(k, sites.iter().map(|near| near.site.k)),
        ];
        Self {
            sites: sites.into(),
            n,
            k,
            beyond: beyond.into_iter().flatten().max(),
        }
    }

    /// The sites to ask about `m` tokens: the nearest within reach among those measured around `m` (all, if none was).
    /// None for a shape that no site speaks for.
    pub(super) fn neighbours(&self, grid: &Grid, m: u64) -> Option<[Option<Neighbour>; NEIGHBOURS]> {
        let axis = grid.axes().last()?;
        let covered = self.sites.iter().any(|near| near.site.covers(axis, m));
        let candidates = || {
            self.sites
                .iter()
                .filter(move |near| !covered || near.site.covers(axis, m))
        };
        let within = candidates().next()?.octaves <= REACH;
        if !within && !self.is_just_beyond(candidates) {
            return None;
        }
        let mut nearest = [None; NEIGHBOURS];
        for (slot, near) in nearest.iter_mut().zip(candidates()) {
            if !within || near.octaves <= REACH {
                *slot = Some(*near);
            }
        }
        Some(nearest)
    }

    /// Whether exactly one of n and k exceeds everything measured, and the other one is near a measured one.
    fn is_just_beyond<'a, I: Iterator<Item = &'a Neighbour>>(&self, candidates: impl Fn() -> I) -> bool {
        let range = |of: fn(&Site) -> u32| {
            candidates().fold((u32::MAX, 0), |(least, most), near| {
                (least.min(of(&near.site)), most.max(of(&near.site)))
            })
        };
        let (least_n, most_n) = range(|site| site.n);
        let (least_k, most_k) = range(|site| site.k);
        if self.n < least_n || self.k < least_k || (self.n > most_n) == (self.k > most_k) {
            return false;
        }
        candidates().any(|near| {
            let other = if self.n > most_n {
                octaves_between(near.site.k, self.k)
            } else {
                octaves_between(near.site.n, self.n)
            };
            other <= REACH
        })
    }

    /// How far the shape exceeds everything measured in n or k; none where it lies among the measured shapes.
    pub(super) const fn beyond(&self) -> Option<Beyond> {
        self.beyond
    }
}

/// How far `features` lie outside everything measured; none where they do not.
fn beyond_all(features: u32, measured: impl Iterator<Item = u32>) -> Option<Beyond> {
    let (least, most) = measured.fold((u32::MAX, 0), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    let end = if features < least { least } else { most };
    (least <= most && !(least..=most).contains(&features))
        .then(|| Beyond::new(Axis::Features, u64::from(end), u64::from(features)))
}

fn octaves_between(a: u32, b: u32) -> f64 {
    (f64::from(a).log2() - f64::from(b).log2()).abs()
}
