use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::Service as _;

use super::*;

fn policy() -> Policy {
    Policy {
        default_image: Some("registry.example/dynamo-planner:1.6.1".parse().unwrap()),
        discovers_gpus: true,
    }
}

async fn post(path: &str, body: String) -> (StatusCode, Vec<u8>) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap();
    let response = router(policy()).call(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap();
    (status, body.to_bytes().to_vec())
}

/// The answer to a review that Kubernetes 1.36.3 sent.
async fn ask(path: &str, review: &Value) -> Value {
    let (status, body) = post(path, review.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["kind"], review["kind"]);
    assert_eq!(answer["apiVersion"], review["apiVersion"]);
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    answer["response"].clone()
}

fn review(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_new_request_gets_defaults() {
    let mut review = review(include_str!("reviews/defaults_of_a_new_request.json"));
    let answer = ask(MUTATE_PATH, &review).await;
    assert_eq!(answer["allowed"], true);
    assert_eq!(answer["patchType"], "JSONPatch");
    let patch: k8s_openapi::ByteString = serde_json::from_value(answer["patch"].clone()).unwrap();
    let patch: Value = serde_json::from_slice(&patch.0).unwrap();
    let image = json!({"op": "add", "path": "/spec/image", "value": "registry.example/dynamo-planner:1.6.1"});
    // The CRD has filled the others before.
    assert_eq!(patch, json!([image]));

    review["request"]["object"]["spec"] = json!({"model": "m", "image": "given:1"});
    let answer = ask(MUTATE_PATH, &review).await;
    let patch: k8s_openapi::ByteString = serde_json::from_value(answer["patch"].clone()).unwrap();
    let patch: Value = serde_json::from_slice(&patch.0).unwrap();
    assert_eq!(
        patch,
        json!([
            {"op": "add", "path": "/spec/backend", "value": "auto"},
            {"op": "add", "path": "/spec/searchStrategy", "value": "rapid"},
            {"op": "add", "path": "/spec/autoApply", "value": true},
        ])
    );

    for object in [json!({"v1beta2": {}}), json!("odd")] {
        review["request"]["object"]["spec"] = object;
        assert_eq!(ask(MUTATE_PATH, &review).await.get("patch"), None);
    }
}

#[tokio::test]
async fn an_update_gets_no_defaults() {
    let review = review(include_str!("reviews/an_image_without_version.json"));
    let answer = ask(MUTATE_PATH, &review).await;
    assert_eq!(answer["allowed"], true);
    assert_eq!(answer.get("patch"), None);
}

#[tokio::test]
async fn a_faulty_change_is_refused_as_invalid() {
    let mut review = review(include_str!("reviews/an_image_without_version.json"));
    let answer = ask(VALIDATE_PATH, &review).await;
    assert_eq!(answer["allowed"], false);
    insta::assert_json_snapshot!(answer["status"]);

    review["request"]["object"]["metadata"]["deletionTimestamp"] = json!("2026-11-24T21:25:27Z");
    let answer = ask(VALIDATE_PATH, &review).await;
    assert_eq!(answer["allowed"], true, "what is being deleted must be let go");
}

#[tokio::test]
async fn a_good_request_is_admitted_with_warnings() {
    let review = review(include_str!("reviews/defaults_of_a_new_request.json"));
    let answer = ask(VALIDATE_PATH, &review).await;
    assert_eq!(answer["allowed"], true);
    assert_eq!(
        answer["warnings"],
        json!([
            "spec.hardware.gpuSku: \"gb200_sxm\" is deprecated; use \"gb200\". The legacy value will be removed in a \
             future release"
        ])
    );
}

#[tokio::test]
async fn versions_are_converted_in_order() {
    let mut review = review(include_str!("reviews/an_older_request.json"));
    let second = {
        let mut object = review["request"]["objects"][0].clone();
        object["metadata"]["name"] = json!("second");
        object
    };
    review["request"]["objects"].as_array_mut().unwrap().push(second);
    let answer = ask(CONVERT_PATH, &review).await;
    assert_eq!(answer["result"]["status"], "Success");
    let converted = answer["convertedObjects"].as_array().unwrap();
    assert_eq!(converted[0]["apiVersion"], "nvidia.com/v1beta1");
    assert_eq!(converted[0]["spec"]["image"], "p:1.2.3");
    assert_eq!(converted[1]["metadata"]["name"], "second");

    let originals = review["request"]["objects"].clone();
    review["request"]["desiredAPIVersion"] = json!("nvidia.com/v1alpha1");
    review["request"]["objects"] = json!(converted);
    let answer = ask(CONVERT_PATH, &review).await;
    assert_eq!(answer["convertedObjects"], originals);

    review["request"]["desiredAPIVersion"] = json!("nvidia.com/v1beta9");
    let answer = ask(CONVERT_PATH, &review).await;
    assert_eq!(answer["result"]["status"], "Failure");
    let message = answer["result"]["message"].as_str().unwrap();
    assert!(message.contains("nvidia.com/v1beta9"), "{message}");
}

#[tokio::test]
async fn what_is_no_review_is_a_bad_request() {
    for path in [VALIDATE_PATH, MUTATE_PATH, CONVERT_PATH] {
        for body in ["", "{", "[]", "{\"apiVersion\": \"v1\", \"kind\": \"Review\"}"] {
            let (status, _) = post(path, body.to_owned()).await;
            assert!(status.is_client_error(), "{path} {body}: {status}");
        }
    }
}
