//! Our own writes, until the watch has shown them: deciding on an older state would do things twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::request::Request;

/// Requests as the API server answered our last write of each, where that is newer than what was watched.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<BTreeMap<(String, String), Arc<Request>>>);

fn key(request: &Request) -> (String, String) {
    (request.namespace().to_owned(), request.name().to_owned())
}

impl Latest {
    /// Remembers the answer to a write.
    pub(super) fn wrote(&self, mut request: Request) {
        request.slim();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key(&request), Arc::new(request));
    }

    /// The newer of what was watched and what was written; what the watch has caught up with is forgotten.
    pub(super) fn newer(&self, watched: Arc<Request>) -> Arc<Request> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(&watched);
        let Some(written) = known.get(&key) else {
            return watched;
        };
        let is_newer =
            written.uid() == watched.uid() && written.resource_version() > watched.resource_version();
        if is_newer {
            return Arc::clone(written);
        }
        known.remove(&key);
        watched
    }

    /// Forgets a request that is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&(namespace.to_owned(), name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::Latest;
    use crate::controller::request::Request;

    fn request(uid: &str, version: &str) -> Request {
        let metadata = json!({"name": "m", "namespace": "n", "uid": uid, "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn the_newer_state_counts() {
        let latest = Latest::default();
        latest.wrote(request("u", "10"));
        let seen = |uid, version| latest.newer(Arc::new(request(uid, version))).resource_version();
        assert_eq!(seen("u", "9"), 10);
        assert_eq!(seen("u", "11"), 11);
        assert_eq!(seen("u", "9"), 9, "forgotten once the watch caught up");
        latest.wrote(request("u", "12"));
        assert_eq!(
            seen("other", "3"),
            3,
            "a new object of the same name is another one"
        );
    }
}
