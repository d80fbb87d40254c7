//! Answers to `ConversionReview`s.

use dgdr_types::v1alpha1::{DgdrVersion, convert};
use kube::core::Status;
use kube::core::conversion::{ConversionRequest, ConversionResponse, ConversionReview};
use kube::core::response::reason::BAD_REQUEST;
use serde_json::Value;

/// The answer to a review: all objects in the version asked for, in order, or why not.
///
/// # Errors
/// A text that is no review with a request.
pub(super) fn answer(review: Value) -> Result<Value, serde_json::Error> {
    use serde::de::Error as _;
    let review: ConversionReview = serde_json::from_value(review)?;
    let request = ConversionRequest::from_review(review)
        .map_err(|_| serde_json::Error::custom("the ConversionReview holds no request"))?;
    let converted = DgdrVersion::from_api_version(&request.desired_api_version).and_then(|version| {
        request
            .objects
            .iter()
            .map(|object| convert(object, version))
            .collect::<Result<Vec<_>, _>>()
    });
    let response = ConversionResponse::for_request(request);
    let response = match converted {
        Ok(objects) => response.success(objects),
        Err(error) => response.failure(Status::failure(&error.to_string(), BAD_REQUEST)),
    };
    serde_json::to_value(response.into_review())
}
