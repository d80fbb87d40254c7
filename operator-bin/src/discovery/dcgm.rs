//! The GPUs of a node, by the metrics of its DCGM exporter: for clusters whose nodes may not be read.

use std::collections::{BTreeMap, BTreeSet};

/// What one exporter tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapedGpus {
    /// Name of the node.
    pub node: String,
    /// Product of the GPUs.
    pub product: String,
    /// How many there are.
    pub count: u32,
    /// Memory of the largest, MiB.
    pub memory_mib: u64,
}

/// Present for every GPU, whatever else is collected.
const PRESENCE: &str = "DCGM_FI_DEV_GPU_TEMP";
/// Parts of the memory of a GPU, MiB.
const MEMORY: [&str; 3] = [
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_RESERVED",
];

/// Reads Prometheus text; none where it tells of no GPU.
pub fn parse(text: &str) -> Option<ScrapedGpus> {
    let mut present = BTreeSet::new();
    let mut memory: BTreeMap<String, f64> = BTreeMap::new();
    let (mut product, mut node) = (None, None);
    for line in text.lines() {
        let Some(sample) = Sample::of(line) else { continue };
        let Some(gpu) = sample.label("gpu") else { continue };
        if sample.name == PRESENCE {
            present.insert(gpu.to_owned());
            product = product.or_else(|| sample.label("modelName").map(str::to_owned));
            node = node.or_else(|| sample.label("Hostname").map(str::to_owned));
        } else if MEMORY.contains(&sample.name) {
            *memory.entry(gpu.to_owned()).or_default() += sample.value;
        }
    }
    let largest = memory.into_values().fold(0.0, f64::max);
    Some(ScrapedGpus {
        node: node?,
        product: product?,
        count: u32::try_from(present.len()).ok()?,
        memory_mib: dgdr_units::floor_count(largest),
    })
}

/// One line of Prometheus text.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

impl<'a> Sample<'a> {
    /// None for comments and lines without labels, which none of the metrics here has.
    fn of(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once('}')?;
        Some(Self {
            name: name.trim(),
            labels: pairs(labels),
            value: value.split_whitespace().next()?.parse().ok()?,
        })
    }

    fn label(&self, name: &str) -> Option<&'a str> {
        self.labels
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// `key="value"` pairs; values may hold commas, and none here holds an escaped quote.
fn pairs(mut text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    while let Some((key, rest)) = text.split_once("=\"") {
        let Some((value, after)) = rest.split_once('"') else {
            break;
        };
        found.push((key.trim_start_matches([',', ' ']), value));
        text = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{ScrapedGpus, parse};

    const TEXT: &str = r#"# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA H100 80GB HBM3",Hostname="node-1"} 45
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA H100 80GB HBM3",Hostname="node-1"} 41
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-a",modelName="NVIDIA H100 80GB HBM3",Hostname="node-1"} 80000
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",modelName="NVIDIA H100 80GB HBM3",Hostname="node-1"} 1000
DCGM_FI_DEV_FB_RESERVED{gpu="0",UUID="GPU-a",modelName="NVIDIA H100 80GB HBM3",Hostname="node-1"} 559
DCGM_FI_DEV_FB_FREE{gpu="1",UUID="GPU-b",modelName="NVIDIA H100 80GB HBM3",Hostname="node-1"} 79000
"#;

    #[test]
    fn an_exporter_tells_product_number_and_memory() {
        let expected = ScrapedGpus {
            node: "node-1".to_owned(),
            product: "NVIDIA H100 80GB HBM3".to_owned(),
            count: 2,
            memory_mib: 81_559,
        };
        assert_eq!(parse(TEXT), Some(expected));
    }

    #[test]
    fn noise_is_no_gpu() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("<html>404</html>"), None);
        assert_eq!(parse("DCGM_FI_DEV_GPU_TEMP{gpu=\"0\" 4"), None);
        assert_eq!(parse("up{job=\"x\"} 1"), None);
    }
}
