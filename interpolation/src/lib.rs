//! Prefill curves and decode surfaces of LLM engines: fit, query, validity range, npz and JSON.
#![forbid(unsafe_code)]
