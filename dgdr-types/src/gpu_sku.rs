//! GPU systems by the names that a DGDR uses, and how product names map to them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines the enum and its table of names together.
macro_rules! skus {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A GPU system: product and form factor.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum GpuSku {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl GpuSku {
            /// All systems, in the order of the CRD's enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The names of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in a DGDR's spec.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

skus! {
    /// NVIDIA GB200 (NVL72).
    Gb200 = "gb200",
    /// Former name of [`Self::Gb200`].
    Gb200Sxm = "gb200_sxm",
    /// NVIDIA GB300 (NVL72).
    Gb300 = "gb300",
    /// NVIDIA Vera Rubin NVL72.
    VrNvl72 = "vr_nvl72",
    /// NVIDIA GB10 (DGX Spark).
    Gb10 = "gb10",
    /// NVIDIA B300 SXM.
    B300Sxm = "b300_sxm",
    /// NVIDIA B200 SXM.
    B200Sxm = "b200_sxm",
    /// NVIDIA H200 SXM.
    H200Sxm = "h200_sxm",
    /// NVIDIA H100 SXM.
    H100Sxm = "h100_sxm",
    /// NVIDIA H100 PCIe.
    H100Pcie = "h100_pcie",
    /// NVIDIA A100 SXM.
    A100Sxm = "a100_sxm",
    /// NVIDIA A100 PCIe.
    A100Pcie = "a100_pcie",
    /// NVIDIA A30.
    A30 = "a30",
    /// NVIDIA L40S.
    L40s = "l40s",
    /// NVIDIA L40.
    L40 = "l40",
    /// NVIDIA L4.
    L4 = "l4",
    /// NVIDIA RTX PRO 6000 Blackwell Server Edition.
    RtxPro6000Server = "rtx_pro_6000_server",
    /// NVIDIA V100 SXM.
    V100Sxm = "v100_sxm",
    /// NVIDIA V100 PCIe.
    V100Pcie = "v100_pcie",
    /// NVIDIA T4.
    T4 = "t4",
    /// Intel Arc Pro B60.
    B60 = "b60",
    /// AMD MI200 and MI250.
    Mi200 = "mi200",
    /// AMD MI300.
    Mi300 = "mi300",
}

impl GpuSku {
    /// The system of exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|sku| sku.name() == name)
    }

    /// The name to use today: `gb200_sxm` is deprecated upstream in favour of `gb200`.
    #[must_use]
    pub const fn canonical(self) -> Self {
        if matches!(self, Self::Gb200Sxm) {
            Self::Gb200
        } else {
            self
        }
    }

    /// The system that a product string names, for example `NVIDIA-H100-80GB-HBM3`, `NVIDIA H200` or
    /// `H100-SXM5-80GB`.
    ///
    /// Rules and order follow upstream's GPU discovery; GB300 and RTX PRO 6000 are ours. A product that exists in two
    /// form factors is PCIe unless the string says SXM, HGX, DGX or HBM3.
    pub fn from_product(product: &str) -> Option<Self> {
        let compact: String = product
            .to_ascii_uppercase()
            .chars()
            .filter(|character| !matches!(character, ' ' | '-' | '_' | '/'))
            .collect();
        let has = |part: &str| compact.contains(part);
        let is_sxm = ["SXM", "HGX", "DGX", "HBM3"].into_iter().any(has);
        let of_form = |sxm: Self, pcie: Self| if is_sxm { sxm } else { pcie };
        let rules = [
            (has("VRNVL72"), Self::VrNvl72),
            (has("GB300"), Self::Gb300),
            (has("GB200"), Self::Gb200),
            (has("GB10") && !has("GB100"), Self::Gb10),
            (has_token(&compact, "B300"), Self::B300Sxm),
            (has("B200"), Self::B200Sxm),
            (has("H200"), Self::H200Sxm),
            (has("H100"), of_form(Self::H100Sxm, Self::H100Pcie)),
            (has("A100"), of_form(Self::A100Sxm, Self::A100Pcie)),
            (has_token(&compact, "A30"), Self::A30),
            (has("L40S"), Self::L40s),
            (has("L40"), Self::L40),
            (has_token(&compact, "L4"), Self::L4),
            (has("RTXPRO6000") && has("SERVER"), Self::RtxPro6000Server),
            (has("V100"), of_form(Self::V100Sxm, Self::V100Pcie)),
            (has_token(&compact, "T4"), Self::T4),
            (has_token(&compact, "B60"), Self::B60),
            (has("MI300"), Self::Mi300),
            (has("MI250") || has("MI200"), Self::Mi200),
        ];
        rules
            .into_iter()
            .find_map(|(matches, sku)| matches.then_some(sku))
    }
}

/// Whether `token` occurs with neither a digit after it nor a letter or digit of a longer product number before it:
/// `A30` is not in `A3000`, `B300` not in `GB300`, while the vendor's name may stand in front.
fn has_token(compact: &str, token: &str) -> bool {
    compact.match_indices(token).any(|(start, _)| {
        let before = &compact[..start];
        let after = &compact[start + token.len()..];
        let is_start = before.is_empty()
            || ["NVIDIA", "TESLA", "INTEL", "ARCPRO", "INTELARCPRO"]
                .iter()
                .any(|vendor| before.ends_with(vendor));
        is_start && !after.starts_with(|next: char| next.is_ascii_digit())
    })
}

impl fmt::Display for GpuSku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
