//! Kubernetes vocabulary of Dynamo: DGDR and DGD, parsed, defaulted, validated, resolved.
#![forbid(unsafe_code)]
