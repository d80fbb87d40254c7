//! The measured kernels of one system and engine.

mod latent_attention;

use std::borrow::Cow;
use std::sync::Arc;

use super::embedded::{EMBEDDED, NCCL, Packed};
use super::error::TableError;
use super::packed_file::{Header, PackedFile};
use crate::efficiency::GapPolicy;
use crate::engine::{ExchangePolicy, exchange};
use crate::graph::{
    DispatchShape, Dsv4Shape, GraphQuery, HyperConnectionShape, MoeShape, MsaShape, OperatorGraph,
};
use crate::operators::{
    AllReduceCost, AllToAllCost, AllToAllShape, Collective, ContextAttentionCost, ContextAttentionShape,
    ContextDsv4Cost, ContextMsaCost, DispatchCost, ExchangeLibrary, ExpertComputeCost, ExpertComputeShape,
    GdnCost, GdnShape, GemmCost, GemmShape, GenerationAttentionCost, GenerationAttentionShape,
    GenerationDsv4Cost, GenerationMsaCost, HyperConnectionCost, KdaCost, KdaShape, Mamba2Cost, Mamba2Shape,
    Measured, MoeCost, NcclCost, OperatorMiss,
};
use crate::{Backend, ModelSpec, ParallelMapping, PerfModelError, Precision, SystemSpec};

/// Measured kernels of one system and engine; cloning shares what was decoded.
#[derive(Debug, Clone)]
pub struct PerfDatabase {
    tables: Arc<Tables>,
    gaps: GapPolicy,
    exchange: ExchangePolicy,
}

#[derive(Debug)]
struct Tables {
    system: &'static SystemSpec,
    backend: Backend,
    engine: PackedFile,
    nccl: PackedFile,
}

impl PerfDatabase {
    /// The tables that come with this library.
    ///
    /// `version` is the engine version asked for: none or `current` for the one that was measured, or that one by name.
    ///
    /// # Errors
    /// [`TableError::NoTables`] for a system without measurements, [`TableError::NoVersion`] for another version.
    pub fn embedded(
        system: &'static SystemSpec,
        backend: Backend,
        version: Option<&str>,
    ) -> Result<Self, TableError> {
        let no_tables = || TableError::NoTables {
            system: system.name,
            available: Self::measured_systems().collect::<Vec<_>>().join(", "),
        };
        let engine = EMBEDDED
            .iter()
            .find(|(of, by, _)| *of == system.name && *by == backend)
            .map(|(.., packed)| packed)
            .ok_or_else(no_tables)?;
        let nccl = NCCL
            .iter()
            .find(|(of, _)| *of == system.name)
            .map(|(_, packed)| packed)
            .ok_or_else(no_tables)?;
        let engine = parse(engine)?;
        match version {
            Some(asked) if asked != "current" && asked != engine.header().version => {
                return Err(TableError::NoVersion {
                    system: system.name,
                    backend,
                    asked: asked.to_owned(),
                    packed: engine.header().version.clone(),
                });
            }
            _ => {}
        }
        Ok(Self::of_files(system, backend, [engine, parse(nccl)?]))
    }

    /// Tables of an engine and of NCCL that were packed elsewhere.
    pub fn of_files(system: &'static SystemSpec, backend: Backend, [engine, nccl]: [PackedFile; 2]) -> Self {
        Self {
            tables: Arc::new(Tables {
                system,
                backend,
                engine,
                nccl,
            }),
            gaps: GapPolicy::Refuse,
            exchange: ExchangePolicy::default(),
        }
    }

    /// The tables that come with this library where the system was measured, else none: see [`Self::roofline`].
    ///
    /// # Errors
    /// As [`Self::embedded`]; [`TableError::NoTables`] only where a version is insisted on.
    pub fn available(
        system: &'static SystemSpec,
        backend: Backend,
        version: Option<&str>,
    ) -> Result<Self, TableError> {
        match Self::embedded(system, backend, version) {
            Err(TableError::NoTables { .. }) if version.is_none_or(|asked| asked == "current") => {
                Ok(Self::roofline(system, backend))
            }
            found => found,
        }
    }

    /// No tables: every operator costs what the roofline and the efficiency of the nearest measured generation say.
    pub fn roofline(system: &'static SystemSpec, backend: Backend) -> Self {
        let nothing = |of: &str| PackedFile::empty(system.name, of);
        Self::of_files(system, backend, [nothing(backend.name()), nothing("nccl")])
            .with_gaps(GapPolicy::Roofline)
    }

    /// The same tables, with another answer to what they lack.
    #[must_use]
    pub fn with_gaps(self, gaps: GapPolicy) -> Self {
        Self { gaps, ..self }
    }

    /// The same tables for workers whose experts exchange tokens as the policy says.
    #[must_use]
    pub fn with_exchange(self, exchange: ExchangePolicy) -> Self {
        Self { exchange, ..self }
    }

    /// When experts exchange tokens by kernels of their own.
    pub const fn exchange(&self) -> ExchangePolicy {
        self.exchange
    }

    /// The operators of a worker for both phases, whose experts exchange tokens as the policy says.
    ///
    /// # Errors
    /// As [`OperatorGraph::of`]; [`PerfModelError::ExpertsAcrossNodes`] and [`PerfModelError::ExchangeNotMeasured`] for
    /// experts that span nodes in a way that was not measured, where gaps are refused.
    pub fn graph(&self, query: GraphQuery<'_>) -> Result<OperatorGraph, PerfModelError> {
        let query = query.with_experts();
        match exchange::without_decode(self, query) {
            Some(reason) => Err(reason),
            None => exchange::graph(self, query),
        }
    }

    /// Widths of expert parallelism, among powers of two up to `widest`, at which a model's experts exchange tokens by
    /// measured kernels of their own.
    pub fn exchanged_widths(&self, model: &ModelSpec, precision: Precision, widest: u32) -> Vec<u32> {
        let query = GraphQuery {
            model,
            precision,
            mapping: ParallelMapping::SINGLE,
            backend: self.backend(),
            system: self.system(),
            drafted: 0,
        };
        exchange::exchanged_widths(self, query, widest)
    }

    /// What is done about operators that the tables lack.
    pub fn gaps(&self) -> GapPolicy {
        self.gaps
    }

    /// Whether there are tables at all.
    pub fn is_measured(&self) -> bool {
        self.tables.engine.tables().next().is_some()
    }

    /// Names of the systems with measurements.
    pub fn measured_systems() -> impl Iterator<Item = &'static str> {
        NCCL.iter().map(|(system, _)| *system)
    }

    /// The engine version that was measured.
    pub fn version(&self) -> &str {
        &self.tables.engine.header().version
    }

    /// What the packed tables say about themselves.
    pub fn header(&self) -> &Header {
        self.tables.engine.header()
    }

    /// The system that was measured.
    pub fn system(&self) -> &'static SystemSpec {
        self.tables.system
    }

    /// The engine that was measured.
    pub fn backend(&self) -> Backend {
        self.tables.backend
    }

    /// Cost of a projection.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its format was not measured.
    pub fn gemm(&self, shape: GemmShape) -> Result<GemmCost, OperatorMiss> {
        GemmCost::resolve(self.engine(), shape)
    }

    /// Cost of prefill attention.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats, key-value heads, head size or window were not measured.
    pub fn context_attention(
        &self,
        shape: ContextAttentionShape,
    ) -> Result<ContextAttentionCost, OperatorMiss> {
        ContextAttentionCost::resolve(self.engine(), shape)
    }

    /// Whether prefill attention was measured for a shape.
    pub fn has_context_attention(&self, shape: &ContextAttentionShape) -> bool {
        ContextAttentionCost::is_measured(self.engine(), shape)
    }

    /// Whether a table has a slice with these texts and numbers in these of its key columns; none where there is no such
    /// table.
    pub(crate) fn has_slice(
        &self,
        table: &str,
        texts: &[(&str, &str)],
        numbers: &[(&str, u32)],
    ) -> Option<bool> {
        let directory = self.engine().file.directory(table).ok()??;
        let position = |column: &str| directory.columns().iter().position(|name| name == column);
        let texts = texts
            .iter()
            .map(|(column, text)| Some((position(column)?, directory.word(text)?)));
        let numbers = numbers
            .iter()
            .map(|(column, number)| Some((position(column)?, *number)));
        let wanted: Option<Vec<(usize, u32)>> = texts.chain(numbers).collect();
        let Some(wanted) = wanted else {
            return Some(false);
        };
        Some((0..directory.slices()).any(|slice| {
            let key = directory.key(slice);
            wanted.iter().all(|(column, word)| key[*column] == *word)
        }))
    }

    /// Cost of decode attention.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its format, key-value heads, head size or window were not measured.
    pub fn generation_attention(
        &self,
        shape: GenerationAttentionShape,
    ) -> Result<GenerationAttentionCost, OperatorMiss> {
        GenerationAttentionCost::resolve(self.engine(), shape)
    }

    /// Cost of a kernel of a gated delta net.
    ///
    /// # Errors
    /// [`OperatorMiss::Table`] when the tables cannot be read; what was not measured costs its roofline.
    pub fn gated_delta(&self, shape: GdnShape) -> Result<GdnCost, OperatorMiss> {
        GdnCost::resolve(self.engine(), shape)
    }

    /// Cost of a kernel of Mamba2.
    ///
    /// # Errors
    /// [`OperatorMiss::Table`] when the tables cannot be read; what was not measured costs its roofline.
    pub fn mamba2(&self, shape: Mamba2Shape) -> Result<Mamba2Cost, OperatorMiss> {
        Mamba2Cost::resolve(self.engine(), shape)
    }

    /// Cost of a kernel of Kimi delta attention.
    ///
    /// # Errors
    /// [`OperatorMiss::Table`] when the tables cannot be read; what was not measured costs its roofline.
    pub fn kimi_delta(&self, shape: KdaShape) -> Result<KdaCost, OperatorMiss> {
        KdaCost::resolve(self.engine(), shape)
    }

    /// Cost of one side of a layer's hyper-connections.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its streams or hidden size were not measured.
    pub fn hyper_connection(&self, shape: HyperConnectionShape) -> Result<HyperConnectionCost, OperatorMiss> {
        HyperConnectionCost::resolve(self.engine(), shape)
    }

    /// Cost of prefill attention over compressed entries.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn context_dsv4(&self, shape: Dsv4Shape) -> Result<ContextDsv4Cost, OperatorMiss> {
        let ranks = shape.context_parallel;
        let gather = (ranks > 1)
            .then(|| self.nccl(Collective::AllGather, ranks))
            .transpose()?;
        ContextDsv4Cost::resolve(self.engine(), shape, gather)
    }

    /// Cost of decode attention over compressed entries.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn generation_dsv4(&self, shape: Dsv4Shape) -> Result<GenerationDsv4Cost, OperatorMiss> {
        GenerationDsv4Cost::resolve(self.engine(), shape)
    }

    /// Cost of prefill attention over selected blocks.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn context_msa(&self, shape: MsaShape) -> Result<ContextMsaCost, OperatorMiss> {
        ContextMsaCost::resolve(self.engine(), shape)
    }

    /// Cost of decode attention over selected blocks.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn generation_msa(&self, shape: MsaShape) -> Result<GenerationMsaCost, OperatorMiss> {
        GenerationMsaCost::resolve(self.engine(), shape)
    }

    /// Cost of the engine's own all-reduce among `gpus`.
    ///
    /// # Errors
    /// [`OperatorMiss`] when that number of GPUs was not measured; beyond a node, the node's measurements are scaled.
    pub fn all_reduce(&self, gpus: u32) -> Result<AllReduceCost, OperatorMiss> {
        AllReduceCost::resolve(self.engine(), gpus)
    }

    /// Cost of an NCCL collective among `gpus`.
    ///
    /// # Errors
    /// [`OperatorMiss`] when that number of GPUs was not measured; beyond the largest one, its measurements are scaled.
    pub fn nccl(&self, collective: Collective, gpus: u32) -> Result<NcclCost, OperatorMiss> {
        let measured = Measured {
            file: &self.tables.nccl,
            ..self.engine()
        };
        NcclCost::resolve(measured, collective, gpus)
    }

    /// Cost of a layer's routed experts.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its format, sizes or split were not measured.
    pub fn moe(&self, shape: MoeShape) -> Result<MoeCost, OperatorMiss> {
        MoeCost::resolve(self.engine(), shape)
    }

    /// Cost of sending tokens to their experts, or back.
    ///
    /// # Errors
    /// [`OperatorMiss`] when the collectives of so many ranks were not measured.
    pub fn dispatch(&self, shape: DispatchShape) -> Result<DispatchCost, OperatorMiss> {
        DispatchCost::resolve(self, shape)
    }

    /// Cost of one part of an exchange of tokens among many ranks.
    ///
    /// # Errors
    /// [`OperatorMiss`] when it was not measured in this format, size and number of ranks.
    pub fn all_to_all(&self, shape: AllToAllShape) -> Result<AllToAllCost, OperatorMiss> {
        AllToAllCost::resolve(self.engine(), shape)
    }

    /// Cost of a layer's routed experts under large expert parallelism.
    ///
    /// # Errors
    /// [`OperatorMiss`] when their format, sizes or number of ranks were not measured.
    pub fn expert_compute(&self, shape: ExpertComputeShape) -> Result<ExpertComputeCost, OperatorMiss> {
        ExpertComputeCost::resolve(self.engine(), shape)
    }

    /// The library with which the tokens of experts are exchanged among many ranks. None where no library can, where its
    /// exchange was not measured, or where the experts were not.
    pub fn exchange_library(&self, experts: &ExpertComputeShape) -> Option<ExchangeLibrary> {
        ExchangeLibrary::choose(self.engine(), experts)
    }

    /// Names of the tables, those of NCCL included.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.engine.tables().chain(self.tables.nccl.tables())
    }

    /// Engines and versions, other than these tables' own, that a table was merged from, the preferred one first.
    pub fn donors(&self, table: &str) -> Vec<String> {
        let own = format!("{} {}", self.backend(), self.version());
        match self.tables.engine.directory(table) {
            Ok(Some(directory)) => directory
                .sources()
                .iter()
                .filter(|source| **source != own)
                .cloned()
                .collect(),
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    fn engine(&self) -> Measured<'_> {
        Measured {
            system: self.tables.system,
            file: &self.tables.engine,
        }
    }
}

fn parse(packed: &Packed) -> Result<PackedFile, TableError> {
    PackedFile::parse(packed.name, Cow::Borrowed(packed.bytes))
}

#[cfg(test)]
mod tests;
