//! Attention to latents, dense and sparse.

use super::PerfDatabase;
use crate::graph::{
    ContextMlaModuleShape, ContextMlaShape, DsaShape, GenerationMlaModuleShape, GenerationMlaShape,
    MlaBmmShape, WideEpContextMlaShape, WideEpGenerationMlaShape,
};
use crate::operators::{
    Collective, ContextMlaCost, ContextMlaModuleCost, DsaContextCost, DsaGenerationCost, GenerationMlaCost,
    GenerationMlaModuleCost, MlaBmmCost, OperatorMiss, WideEpContextMlaCost, WideEpGenerationMlaCost,
};

impl PerfDatabase {
    /// Cost of prefill attention to latents.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn context_mla(&self, shape: ContextMlaShape) -> Result<ContextMlaCost, OperatorMiss> {
        ContextMlaCost::resolve(self.engine(), shape)
    }

    /// Cost of decode attention to latents.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its format was not measured.
    pub fn generation_mla(&self, shape: GenerationMlaShape) -> Result<GenerationMlaCost, OperatorMiss> {
        GenerationMlaCost::resolve(self.engine(), shape)
    }

    /// Cost of a prefill of attention to latents with its projections.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn context_mla_module(
        &self,
        shape: ContextMlaModuleShape,
    ) -> Result<ContextMlaModuleCost, OperatorMiss> {
        ContextMlaModuleCost::resolve(self.engine(), shape)
    }

    /// Cost of a decode step of attention to latents with its projections.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its formats were not measured.
    pub fn generation_mla_module(
        &self,
        shape: GenerationMlaModuleShape,
    ) -> Result<GenerationMlaModuleCost, OperatorMiss> {
        GenerationMlaModuleCost::resolve(self.engine(), shape)
    }

    /// Cost of a prefill of attention to latents beside experts that exchange tokens.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its format was not measured.
    pub fn wide_ep_context_mla(
        &self,
        shape: WideEpContextMlaShape,
    ) -> Result<WideEpContextMlaCost, OperatorMiss> {
        WideEpContextMlaCost::resolve(self.engine(), shape)
    }

    /// Cost of a decode step of attention to latents beside experts that exchange tokens.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its format was not measured.
    pub fn wide_ep_generation_mla(
        &self,
        shape: WideEpGenerationMlaShape,
    ) -> Result<WideEpGenerationMlaCost, OperatorMiss> {
        WideEpGenerationMlaCost::resolve(self.engine(), shape)
    }

    /// Cost of a batched product around decode attention to latents.
    ///
    /// # Errors
    /// [`OperatorMiss`] when neither its format nor bfloat16 was measured, or not with that many heads.
    pub fn mla_bmm(&self, shape: MlaBmmShape) -> Result<MlaBmmCost, OperatorMiss> {
        MlaBmmCost::resolve(self.engine(), shape)
    }

    /// Cost of a prefill of sparse attention with its projections.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its architecture or formats were not measured.
    pub fn dsa_context(&self, shape: DsaShape) -> Result<DsaContextCost, OperatorMiss> {
        let ranks = shape.context_parallel;
        let gather = (ranks > 1)
            .then(|| self.nccl(Collective::AllGather, ranks))
            .transpose()?;
        DsaContextCost::resolve(self.engine(), shape, gather)
    }

    /// Cost of a decode step of sparse attention with its projections.
    ///
    /// # Errors
    /// [`OperatorMiss`] when its architecture or formats were not measured.
    pub fn dsa_generation(&self, shape: DsaShape) -> Result<DsaGenerationCost, OperatorMiss> {
        DsaGenerationCost::resolve(self.engine(), shape)
    }
}
