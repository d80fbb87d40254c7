//! The volume with the weights, and whether the model is in it.

use super::Resolver;
use super::reader::Fault;
use crate::contract::{defaults, rules};
use crate::resolved::ModelCache;
use crate::spec::ModelCacheSpec;

/// First letters of a model's folder in a Hugging Face cache.
const HUB_FOLDER: &str = "models--";

impl Resolver<'_> {
    pub(super) fn model_cache(&mut self, given: ModelCacheSpec) -> Option<ModelCache> {
        let ModelCacheSpec {
            pvc_name,
            pvc_model_path,
            pvc_mount_path,
        } = given;
        let pvc_mount_path = pvc_mount_path.unwrap_or_else(|| defaults::PVC_MOUNT_PATH.to_owned());
        if !pvc_mount_path.starts_with('/') || pvc_mount_path.contains(':') {
            let fault = Fault::new("must be an absolute path without ':'", "start it with '/'");
            self.fault(
                "spec.modelCache.pvcMountPath",
                Some(format!("{pvc_mount_path:?}")),
                fault,
            );
        }
        if let Some(path) = pvc_model_path
            .as_deref()
            .filter(|path| path.split('/').any(|part| part == ".."))
        {
            let fault = Fault::new("must stay within the volume", "remove the '..'");
            self.fault("spec.modelCache.pvcModelPath", Some(format!("{path:?}")), fault);
        }
        let Some(pvc_name) = pvc_name else {
            if self.has_fault_at("spec.modelCache.pvcName") {
                return None;
            }
            if pvc_model_path.is_some() {
                let fix =
                    "name a PersistentVolumeClaim in the namespace of the request, or remove modelCache";
                let fault = Fault::new(rules::CACHE_CLAIM.message, fix);
                self.fault("spec.modelCache.pvcName", None, fault);
            } else {
                self.warnings
                    .push("spec.modelCache: without pvcName it has no effect".to_owned());
            }
            return None;
        };
        Some(ModelCache {
            pvc_name,
            pvc_model_path,
            pvc_mount_path,
        })
    }

    /// Engines find a model that is named by a path only where a volume is mounted, or in their image.
    pub(super) fn check_location(&mut self, model: Option<&str>, cache: Option<&ModelCache>) {
        if let Some(cache) = cache {
            self.note_path(cache);
        }
        let Some(model) = model.filter(|model| model.starts_with('/')) else {
            return;
        };
        let Some(cache) = cache else {
            if !self.has_fault_at("spec.modelCache.pvcName") {
                self.warnings.push(format!(
                    "spec.model: {model} is a path, and no spec.modelCache mounts a volume there: it must be in the image"
                ));
            }
            return;
        };
        let fault = match cache.model_path() {
            Some(path) if path == model.trim_end_matches('/') => return,
            Some(path) => Fault::new(
                format!("is not the path that spec.modelCache gives, {path}"),
                "write that path or the model's hub name, or remove spec.modelCache.pvcModelPath",
            ),
            None if cache.holds(model) => return,
            None => Fault::new(
                format!(
                    "is outside the volume, which is mounted at {}",
                    cache.pvc_mount_path
                ),
                "set spec.modelCache.pvcMountPath to a folder above it, or name the model by its path below the mount",
            ),
        };
        self.fault("spec.model", Some(format!("{model:?}")), fault);
    }

    /// Paths that are easily meant otherwise.
    fn note_path(&mut self, cache: &ModelCache) {
        let (Some(given), Some(path)) = (&cache.pvc_model_path, cache.model_path()) else {
            return;
        };
        if given.starts_with('/') && !cache.holds(given) {
            self.warnings.push(format!(
                "spec.modelCache.pvcModelPath: {given} is taken as a path within the volume, {path} in the pods"
            ));
        }
        if path
            .rsplit('/')
            .next()
            .is_some_and(|folder| folder.starts_with(HUB_FOLDER))
        {
            self.warnings.push(format!(
                "spec.modelCache.pvcModelPath: {path} looks like a folder of a Hugging Face cache, which keeps the weights \
                 below it in snapshots/<revision>; if it is one, add that, or leave pvcModelPath out to use the volume \
                 as the cache"
            ));
        }
    }
}
