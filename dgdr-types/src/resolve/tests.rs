use super::*;
use crate::parse::parse_request;

#[test]
fn the_smallest_request_takes_every_default() {
    let request = resolve(&parse_request("model: Qwen/Qwen3-0.6B\n").unwrap()).unwrap();
    assert_eq!(
        request.workload,
        Workload {
            isl: Tokens::new(4000),
            osl: Tokens::new(1000)
        }
    );
    assert_eq!(request.backend, BackendChoice::Auto);
    assert!(request.auto_apply);
    assert!(request.warnings.is_empty());
}
