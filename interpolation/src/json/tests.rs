use super::*;

const PREFILL: &str =
    r#"{"prefill_isl":[100,200],"prefill_ttft":[20.0,30.5],"prefill_thpt_per_gpu":[5000.0,6557.0]}"#;

fn provenance() -> Provenance {
    [("source", "measured"), ("backend", "vllm")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn a_curve_keeps_upstreams_keys_and_adds_ours() {
    let curve = read_prefill(PREFILL.as_bytes()).expect("upstream's layout");
    assert!(curve.provenance.is_empty());
    let bytes = write_prefill(&curve.data, &provenance()).expect("written");
    insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r#"{"prefill_isl":[100,200],"prefill_ttft":[20.0,30.5],"prefill_thpt_per_gpu":[5000.0,6557.0],"valid_range":{"prefill_isl":[100,200]},"provenance":{"backend":"vllm","source":"measured"}}"#);
    let again = read_prefill(&bytes).expect("read back");
    assert_eq!(again.provenance, provenance());
    assert_eq!(again.data.points(), curve.data.points());
}

#[test]
fn a_surface_has_a_plain_capacity_and_reads_a_list_too() {
    let columns = r#""x_kv_usage":[0.1,0.5],"y_context_length":[350.5,350.5],"z_itl":[4.0,9.0],"z_thpt_per_gpu":[250.0,900.0]"#;
    for capacity in ["945029", "[945029]"] {
        let text = format!(r#"{{"max_kv_tokens":{capacity},{columns},"added_later":{{}}}}"#);
        let surface = read_decode(text.as_bytes()).expect("upstream's layout").data;
        let bytes = write_decode(&surface, &provenance()).expect("written");
        insta::allow_duplicates! {
            insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r#"{"max_kv_tokens":945029,"x_kv_usage":[0.1,0.5],"y_context_length":[350.5,350.5],"z_itl":[4.0,9.0],"z_thpt_per_gpu":[250.0,900.0],"valid_range":{"x_kv_usage":[0.1,0.5],"y_context_length":[350.5,350.5]},"provenance":{"backend":"vllm","source":"measured"}}"#);
        }
        assert_eq!(
            read_decode(&bytes).expect("read back").data.points(),
            surface.points()
        );
    }
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let error = read_decode(PREFILL.as_bytes()).expect_err("the other phase");
    assert_eq!(
        error.to_string(),
        "array max_kv_tokens is missing: is this the raw data of the other phase?"
    );
    let negative = PREFILL.replace("20.0", "-20.0");
    let error = read_prefill(negative.as_bytes()).expect_err("before it was sent");
    assert_eq!(
        error.to_string(),
        "prefill_ttft[0]: milliseconds must be at least 0, got -20"
    );
    assert!(matches!(read_prefill(b"{"), Err(FormatError::Json(_))));
}
