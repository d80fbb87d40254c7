//! The controller of DynamoGraphDeploymentRequests, as a library: what it decides and renders is pure, so that tests need
//! no cluster.
#![forbid(unsafe_code)]

pub mod access;
pub mod admission;
pub mod collection;
pub mod collector;
pub mod controller;
pub mod decision;
pub mod discovery;
pub mod generated;
pub mod graph;
pub mod inline;
pub mod leadership;
pub mod metrics;
pub mod owner;
pub mod pod_trouble;
pub mod probes;
pub mod profiling_job;
pub mod settings;
pub mod status_patch;
