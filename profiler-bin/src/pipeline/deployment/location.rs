//! Where the weights are.

use dgdr_render::{ModelCacheMount, ModelLocation};
use dgdr_types::{ModelCache, ResolvedRequest};

/// A path in the volume wins over a path that is the model's name; without either, engines take the weights from the
/// hub, through the volume where there is one.
pub(super) fn location(request: &ResolvedRequest) -> ModelLocation {
    let cache = request.model_cache.as_ref();
    let is_path = request.model.starts_with('/');
    let path = cache
        .and_then(ModelCache::model_path)
        .or_else(|| is_path.then(|| request.model.clone()));
    ModelLocation {
        id: request.model.clone(),
        served_name: request.model.clone(),
        path,
        cache: cache.map(|cache| ModelCacheMount {
            claim: cache.pvc_name.clone(),
            mount_path: cache.pvc_mount_path.clone(),
        }),
    }
}
