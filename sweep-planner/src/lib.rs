//! Which parallel mappings to try, what to measure next, and which to pick under an SLA and a GPU budget.
#![forbid(unsafe_code)]
