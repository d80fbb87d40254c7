//! Container image references and the runtime version that they carry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A container image, taken apart: `registry/repository:tag@digest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    registry: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// No repository is named.
    #[error("the repository is missing: write registry/repository:tag")]
    NoRepository,
    /// The repository's path holds a character that registries refuse.
    #[error(
        "the repository {repository:?} may hold only a-z, 0-9 and single '.', '_', '-', '/' between them"
    )]
    BadRepository {
        /// The rejected path.
        repository: String,
    },
    /// The tag is empty, too long or holds a character that registries refuse.
    #[error(
        "the tag {tag:?} must have 1 to 128 characters A-Z, a-z, 0-9, '_', '.', '-', the first no '.' or '-'"
    )]
    BadTag {
        /// The rejected tag.
        tag: String,
    },
    /// The digest is not `algorithm:hex`.
    #[error("the digest {digest:?} must be sha256: and 64 hexadecimal digits")]
    BadDigest {
        /// The rejected digest.
        digest: String,
    },
}

impl ImageReference {
    /// Host and port, where the reference names one.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// Path below the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Last element of the path, for example `vllm-runtime`.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// Tag without its colon.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Digest with its algorithm, without the `@`.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The version that the tag states: `v1.2.3-rc1+x`, `1.2` and `1.2.3` are versions, `latest` is none.
    pub fn tagged_version(&self) -> Option<RuntimeVersion> {
        let tag = self.tag.as_deref()?;
        let core = tag.strip_prefix('v').unwrap_or(tag);
        let core = core.split_once(['-', '+']).map_or(core, |(core, _)| core);
        let padded = if core.matches('.').count() == 1 {
            format!("{core}.0")
        } else {
            core.to_owned()
        };
        padded.parse().ok()
    }
}

impl FromStr for ImageReference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (rest, digest) = text
            .split_once('@')
            .map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        // A colon after the last slash starts a tag; one before it belongs to the registry's port.
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match rest[path_start..].find(':') {
            Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
            None => (rest, None),
        };
        // As container tools decide: the first element is a host if it looks like one.
        let (registry, repository) = match path.split_once('/') {
            Some((host, repository)) if host.contains(['.', ':']) || host == "localhost" => {
                (Some(host), repository)
            }
            Some(_) | None => (None, path),
        };
        if repository.is_empty() {
            return Err(ImageError::NoRepository);
        }
        if !repository.split('/').all(is_path_element) {
            return Err(ImageError::BadRepository {
                repository: repository.to_owned(),
            });
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ImageError::BadTag { tag: tag.to_owned() });
        }
        if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
            return Err(ImageError::BadDigest {
                digest: digest.to_owned(),
            });
        }
        Ok(Self {
            registry: registry.map(str::to_owned),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

fn is_path_element(element: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well =
        element.bytes().next().is_some_and(is_inner) && element.bytes().last().is_some_and(is_inner);
    ends_well
        && element
            .bytes()
            .all(|byte| is_inner(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for ImageReference {
    type Error = ImageError;
    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

impl From<ImageReference> for String {
    fn from(image: ImageReference) -> Self {
        image.to_string()
    }
}

/// A runtime's version in canonical form: three numbers of at most four digits, without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuntimeVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// A text that is not a runtime version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version: write x.y.z, each of at most four digits without leading zeros")]
pub struct VersionError {
    /// The rejected text.
    pub text: String,
}

impl FromStr for RuntimeVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let parts: Option<Vec<u16>> = text.split('.').map(version_part).collect();
        match parts.as_deref() {
            Some(&[major, minor, patch]) => Ok(Self { major, minor, patch }),
            Some(_) | None => Err(VersionError {
                text: text.to_owned(),
            }),
        }
    }
}

fn version_part(part: &str) -> Option<u16> {
    let is_canonical = (1..=4).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_digit())
        && (part == "0" || !part.starts_with('0'));
    is_canonical.then(|| part.parse().ok()).flatten()
}

impl fmt::Display for RuntimeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl TryFrom<String> for RuntimeVersion {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<RuntimeVersion> for String {
    fn from(version: RuntimeVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests;
