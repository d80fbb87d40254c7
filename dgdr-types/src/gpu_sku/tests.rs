use super::GpuSku;

#[track_caller]
fn check(product: &str, expected: Option<GpuSku>) {
    assert_eq!(GpuSku::from_product(product), expected, "{product}");
}

/// The examples of upstream's discovery tests, and what users write.
#[test]
fn products_map_as_upstream_maps_them() {
    check("NVIDIA-H100-80GB-HBM3", Some(GpuSku::H100Sxm));
    check("H100-SXM5-80GB", Some(GpuSku::H100Sxm));
    check("NVIDIA H100 PCIe", Some(GpuSku::H100Pcie));
    check("H100", Some(GpuSku::H100Pcie));
    check("NVIDIA H200", Some(GpuSku::H200Sxm));
    check("NVIDIA A100-SXM4-40GB", Some(GpuSku::A100Sxm));
    check("NVIDIA-A100-PCIE-40GB", Some(GpuSku::A100Pcie));
    check("NVIDIA GB200", Some(GpuSku::Gb200));
    check("NVIDIA GB10", Some(GpuSku::Gb10));
    check("NVIDIA B300 SXM6 AC", Some(GpuSku::B300Sxm));
    check("NVIDIA B3000", None);
    check("NVIDIA A30", Some(GpuSku::A30));
    check("NVIDIA RTX A3000", None);
    check("NVIDIA L40S", Some(GpuSku::L40s));
    check("NVIDIA L40", Some(GpuSku::L40));
    check("NVIDIA L4", Some(GpuSku::L4));
    check("Tesla T4", Some(GpuSku::T4));
    check("Tesla V100-SXM2-16GB", Some(GpuSku::V100Sxm));
    check("AMD Instinct MI250X", Some(GpuSku::Mi200));
    check("AMD Instinct MI300X", Some(GpuSku::Mi300));
    check("GeForce RTX 4090", None);
}

/// Upstream knows no rule for these; the performance tables do.
#[test]
fn products_that_only_we_know() {
    check("NVIDIA GB300", Some(GpuSku::Gb300));
    check(
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        Some(GpuSku::RtxPro6000Server),
    );
}

#[test]
fn names_lead_back_to_their_system() {
    for &sku in GpuSku::ALL {
        assert_eq!(GpuSku::from_name(sku.name()), Some(sku));
    }
}
