//! GPUs: names of systems, and counts that fit each other.

use dgdr_units::floor_count;

use super::Resolver;
use super::reader::Fault;
use crate::finding::nearest;
use crate::gpu_sku::GpuSku;
use crate::resolved::HardwareRequest;
use crate::spec::HardwareSpec;

/// Lower bound of `vramMb` below which the value is surely meant in GiB: no GPU of the list has less than 8 GiB.
const SMALLEST_VRAM_MIB: f64 = 8_192.0;

impl Resolver<'_> {
    pub(super) fn hardware(&mut self, given: HardwareSpec) -> HardwareRequest {
        let HardwareSpec {
            gpu_sku,
            vram_mb,
            total_gpus,
            num_gpus_per_node,
            max_num_gpus_per_engine,
            interconnect,
            rdma,
        } = given;
        let mut count = |path: &str, given: Option<i32>| given.and_then(|given| self.count(path, given));
        let total_gpus = count("spec.hardware.totalGpus", total_gpus);
        let gpus_per_node = count("spec.hardware.numGpusPerNode", num_gpus_per_node);
        let max_gpus_per_engine = count("spec.hardware.maxNumGpusPerEngine", max_num_gpus_per_engine);
        if let (Some(total), Some(node)) = (total_gpus, gpus_per_node)
            && total < node
        {
            self.warnings.push(format!(
                "spec.hardware.totalGpus: {total} is less than numGpusPerNode ({node}); engines use at most {total} \
                 GPUs of a node"
            ));
        }
        if let (Some(total), Some(engine)) = (total_gpus, max_gpus_per_engine)
            && engine > total
        {
            self.warnings.push(format!(
                "spec.hardware.maxNumGpusPerEngine: {engine} has no effect above totalGpus ({total})"
            ));
        }
        HardwareRequest {
            gpu_sku: gpu_sku.and_then(|text| self.gpu_sku(&text)),
            vram_mib: vram_mb.and_then(|mib| self.vram(mib)),
            total_gpus,
            gpus_per_node,
            max_gpus_per_engine,
            interconnect,
            rdma,
        }
    }

    fn vram(&mut self, given: f64) -> Option<u64> {
        let path = "spec.hardware.vramMb";
        let mib = self.positive(path, given)?;
        if mib < SMALLEST_VRAM_MIB {
            let fix = format!("write MiB, not GiB: {given} GiB are {}", given * 1024.0);
            self.fault(
                path,
                Some(given.to_string()),
                Fault::new("must be at least 8192 MiB", fix),
            );
            return None;
        }
        Some(floor_count(mib))
    }

    /// Exact names, then names in another case, then product strings.
    fn gpu_sku(&mut self, text: &str) -> Option<GpuSku> {
        let path = "spec.hardware.gpuSku";
        if let Some(sku) = GpuSku::from_name(text) {
            let canonical = sku.canonical();
            if canonical != sku {
                self.warnings.push(format!(
                    "{path}: \"{sku}\" is deprecated; use \"{canonical}\". The legacy value will be removed in a future \
                     release"
                ));
            }
            return Some(canonical);
        }
        let found = GpuSku::from_name(&text.to_ascii_lowercase().replace('-', "_"))
            .map(GpuSku::canonical)
            .or_else(|| GpuSku::from_product(text));
        if let Some(sku) = found {
            self.warnings.push(format!(
                "{path}: {text:?} is read as \"{sku}\"; write \"{sku}\" to be sure"
            ));
            return Some(sku);
        }
        let fix = nearest(text, GpuSku::NAMES.iter().copied()).map_or_else(
            || format!("use one of {}", GpuSku::NAMES.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        self.fault(
            path,
            Some(format!("{text:?}")),
            Fault::new("is no known GPU system", fix),
        );
        None
    }
}
