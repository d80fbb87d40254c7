use super::{ImageReference, RuntimeVersion};

#[test]
fn a_port_is_not_a_tag() {
    let image: ImageReference = "mirror.local:5000/dynamo/vllm-runtime".parse().unwrap();
    assert_eq!(image.registry(), Some("mirror.local:5000"));
    assert_eq!(image.name(), "vllm-runtime");
    assert_eq!(image.tag(), None);
}

#[test]
fn references_print_as_they_were_written() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    for text in [
        "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.9.0",
        "vllm-runtime",
        "dynamo/vllm-runtime:my-tag",
        "localhost/vllm-runtime:1.0",
        &format!("nvcr.io/nvidia/vllm-runtime:1.2.3@{digest}"),
        &format!("nvcr.io/nvidia/vllm-runtime@{digest}"),
    ] {
        assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), text);
    }
}

#[test]
fn broken_references_are_refused() {
    for text in [
        "",
        "nvcr.io/",
        "a b:1",
        "a:",
        "a:-x",
        "A/b:1",
        "a//b",
        "a@sha256:12",
        "a@md5:00",
    ] {
        assert!(text.parse::<ImageReference>().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn tags_state_versions_as_upstream_reads_them() {
    let version = |tag: &str| {
        format!("x:{tag}")
            .parse::<ImageReference>()
            .unwrap()
            .tagged_version()
    };
    let expected = Some("1.2.3".parse().unwrap());
    assert_eq!(version("1.2.3"), expected);
    assert_eq!(version("v1.2.3-rc1"), expected);
    assert_eq!(version("1.2"), Some("1.2.0".parse().unwrap()));
    assert_eq!(version("latest"), None);
    assert_eq!(version("1"), None);
}

#[test]
fn versions_are_canonical() {
    for text in ["1.2", "01.2.3", "1.2.3.4", "1.2.x", "12345.0.0", "v1.2.3"] {
        assert!(text.parse::<RuntimeVersion>().is_err(), "{text:?} was accepted");
    }
}
