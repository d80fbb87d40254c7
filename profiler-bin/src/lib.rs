//! Finds how a large language model should be served: DGDR in, DynamoGraphDeployment, curves and plots out.
#![forbid(unsafe_code)]

pub mod plots;
