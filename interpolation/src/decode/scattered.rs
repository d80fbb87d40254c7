//! Points that form no rows: triangles between them.

use spade::{DelaunayTriangulation, Point2, Triangulation as _};

use super::across::Across;
use super::rows::{LeftOut, mix, root_mean_square};
use super::shape::{Quantity, occupancy};
use crate::DecodePoint;
use crate::cubic::Cubic;

/// A Delaunay triangulation, cut into slabs.
///
/// # Shape
/// The plane of the triangles is KV usage × load, each as a share of its largest. The load is what goes over in a straight
/// line between context lengths at one KV usage ([`Across`]); without a shift it is the number of requests in flight. A
/// context length is a straight line through the origin of that plane, so along KV usage the surface is a polyline with
/// a bend at each edge of a triangle. Between two neighbouring context lengths of points (a slab) every line crosses the
/// same edges in the same order, so that a question is two binary searches.
#[derive(Debug, Clone)]
pub(super) struct Scattered {
    /// In the order of the points: by context length, then by KV usage.
    sites: Vec<Site>,
    /// Distinct context lengths, rising.
    contexts: Vec<f64>,
    across: Across,
    /// For each two neighbouring contexts, the edges between the triangles, by rising KV usage.
    slabs: Vec<Vec<Edge>>,
}

#[derive(Debug, Clone, Copy)]
struct Site {
    usage: f64,
    context_length: f64,
    itl: f64,
    occupancy: f64,
}

impl Site {
    fn of(point: &DecodePoint) -> Self {
        Self {
            usage: point.kv_usage.get(),
            context_length: point.context_length,
            itl: point.itl.get(),
            occupancy: occupancy(point),
        }
    }
}

/// An edge of a triangle, by its two sites.
type Edge = [usize; 2];

impl Scattered {
    /// Triangles between sorted, distinct points; `None` when there are none, because all lie on a line. What predicts
    /// left-out points best is how values go over between context lengths.
    pub(super) fn new(points: &[DecodePoint]) -> Option<Self> {
        let sites: Vec<Site> = points.iter().map(Site::of).collect();
        let shortest = sites.first()?.context_length;
        let across = Across::best(shortest, |across| root_mean_square(&errors(&sites, across)));
        let edges = triangulate(&sites, across)?;
        let contexts = contexts(&sites);
        let slabs = contexts
            .windows(2)
            .map(|ends| slab(&sites, &edges, (across, [ends[0], ends[1]])))
            .collect();
        Some(Self {
            sites,
            contexts,
            across,
            slabs,
        })
    }

    /// Each point as the others predict it, where they lie all around it.
    pub(super) fn errors(&self) -> Vec<LeftOut> {
        errors(&self.sites, self.across)
    }

    /// The line of a context length; beyond the points, that of the nearest context length.
    pub(super) fn span(&self, context_length: f64) -> ScatteredSpan<'_> {
        let last = self.contexts.len() - 1;
        let context_length = context_length.clamp(self.contexts[0], self.contexts[last]);
        let above = self
            .contexts
            .partition_point(|context| *context <= context_length);
        ScatteredSpan {
            sites: &self.sites,
            edges: &self.slabs[above.saturating_sub(1).min(last - 1)],
            across: self.across,
            context_length,
        }
    }

    /// ITL (ms) of each point as the fit has it.
    pub(super) fn fitted(&self) -> impl Iterator<Item = f64> + '_ {
        self.sites.iter().map(|site| site.itl)
    }
}

/// Distinct context lengths of sorted sites.
fn contexts(sites: &[Site]) -> Vec<f64> {
    let mut contexts: Vec<f64> = sites.iter().map(|site| site.context_length).collect();
    contexts.dedup_by(|a, b| a.total_cmp(b).is_eq());
    contexts
}

/// Each site as the others predict it, where they lie all around it.
fn errors(sites: &[Site], across: Across) -> Vec<LeftOut> {
    (0..sites.len())
        .filter_map(|index| {
            let left_out = sites[index];
            let rest = [&sites[..index], &sites[index + 1..]].concat();
            let edges = triangulate(&rest, across)?;
            let contexts = contexts(&rest);
            let above = contexts.partition_point(|context| *context <= left_out.context_length);
            let ends = [*contexts.get(above.checked_sub(1)?)?, *contexts.get(above)?];
            let slab = slab(&rest, &edges, (across, ends));
            let span = ScatteredSpan {
                sites: &rest,
                edges: &slab,
                across,
                context_length: left_out.context_length,
            };
            (span.low()..=span.high())
                .contains(&left_out.usage)
                .then(|| LeftOut {
                    usage: left_out.usage,
                    context_length: left_out.context_length,
                    measured_ms: left_out.itl,
                    predicted_ms: span.value(Quantity::Itl, left_out.usage),
                })
        })
        .collect()
}

/// All edges of the triangles between sites; `None` without a triangle.
fn triangulate(sites: &[Site], across: Across) -> Option<Vec<Edge>> {
    let load = |site: &Site| across.load(site.usage, site.context_length);
    let full = sites.iter().map(|site| site.usage).fold(0.0, f64::max);
    let busy = sites.iter().map(load).fold(0.0, f64::max);
    let mut triangles: DelaunayTriangulation<Point2<f64>> = DelaunayTriangulation::new();
    let mut site_of = Vec::with_capacity(sites.len());
    for (index, site) in sites.iter().enumerate() {
        let position = Point2::new(site.usage / full, load(site) / busy);
        let vertex = triangles.insert(position).ok()?.index();
        // Sites that coincide but for rounding share a vertex; the first one stands for both.
        if vertex == site_of.len() {
            site_of.push(index);
        }
    }
    (triangles.num_inner_faces() > 0).then(|| {
        triangles
            .undirected_edges()
            .map(|edge| edge.vertices().map(|vertex| site_of[vertex.fix().index()]))
            .collect()
    })
}

/// The edges that every context length between two neighbouring ones crosses.
fn slab(sites: &[Site], edges: &[Edge], (across, [from, to]): (Across, [f64; 2])) -> Vec<Edge> {
    let mut crossed: Vec<Edge> = edges
        .iter()
        .copied()
        .filter(|edge| {
            let [a, b] = edge.map(|site| sites[site].context_length);
            a.min(b) <= from && a.max(b) >= to
        })
        .collect();
    let middle = f64::midpoint(from, to);
    crossed.sort_by(|a, b| {
        let [a, b] = [a, b].map(|edge| Crossing::of(edge.map(|site| &sites[site]), across, middle).usage);
        a.total_cmp(&b)
    });
    crossed
}

/// Where a context length crosses an edge.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    usage: f64,
    itl: f64,
    occupancy: f64,
}

impl Crossing {
    /// The crossing of an edge whose ends lie on different sides of the context length (or one of them on it).
    fn of([a, b]: [&Site; 2], across: Across, context_length: f64) -> Self {
        // How far each end lies beside the line, along the axis of the load; zero on the line.
        let [beside_a, beside_b] =
            [a, b].map(|site| site.usage * (across.ratio(context_length, site.context_length) - 1.0));
        let weight = beside_a / (beside_a - beside_b);
        Self {
            usage: mix(a.usage, b.usage, weight),
            itl: mix(a.itl, b.itl, weight),
            occupancy: mix(a.occupancy, b.occupancy, weight),
        }
    }

    const fn value(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Itl => self.itl,
            Quantity::Occupancy => self.occupancy,
        }
    }
}

/// The line of one context length.
#[derive(Debug)]
pub(super) struct ScatteredSpan<'a> {
    sites: &'a [Site],
    edges: &'a [Edge],
    across: Across,
    context_length: f64,
}

impl ScatteredSpan<'_> {
    /// Lowest KV usage.
    pub(super) fn low(&self) -> f64 {
        self.crossing(0).usage
    }

    /// Highest KV usage.
    pub(super) fn high(&self) -> f64 {
        self.crossing(self.edges.len() - 1).usage
    }

    /// The value at a KV usage; outside the range the outermost stretch goes on in a straight line.
    pub(super) fn value(&self, quantity: Quantity, usage: f64) -> f64 {
        let behind = self
            .edges
            .partition_point(|edge| self.cross(*edge).usage <= usage);
        if behind == 0 || behind == self.edges.len() {
            let edge = self.crossing(behind.saturating_sub(1));
            let slope = self.outer_slope(quantity, behind > 0);
            return edge.value(quantity) + slope * (usage - edge.usage);
        }
        let [a, b] = [behind - 1, behind].map(|index| self.crossing(index));
        let [from, to] = [a, b].map(|crossing| crossing.value(quantity));
        mix(from, to, (usage - a.usage) / (b.usage - a.usage)).clamp(from.min(to), from.max(to))
    }

    /// The stretches of one quantity along KV usage, from the lowest to the highest.
    pub(super) fn cells(&self, quantity: Quantity) -> Vec<Cubic> {
        let crossings: Vec<Crossing> = self.edges.iter().map(|edge| self.cross(*edge)).collect();
        crossings
            .windows(2)
            .filter(|pair| pair[1].usage > pair[0].usage)
            .map(|pair| {
                let values = [pair[0], pair[1]].map(|crossing| crossing.value(quantity));
                let slope = (values[1] - values[0]) / (pair[1].usage - pair[0].usage);
                Cubic {
                    start: pair[0].usage,
                    end: pair[1].usage,
                    values,
                    slopes: [slope; 2],
                }
            })
            .collect()
    }

    /// Slope of the first or the last stretch; zero on a tip.
    fn outer_slope(&self, quantity: Quantity, is_upper: bool) -> f64 {
        let cells = self.cells(quantity);
        let outer = if is_upper { cells.last() } else { cells.first() };
        outer.map_or(0.0, |cell| cell.slopes[0])
    }

    fn crossing(&self, index: usize) -> Crossing {
        self.cross(self.edges[index])
    }

    fn cross(&self, edge: Edge) -> Crossing {
        Crossing::of(
            edge.map(|site| &self.sites[site]),
            self.across,
            self.context_length,
        )
    }
}
