//! Results as people read them on a terminal.

mod decision;
mod sensitivity;
mod table;

pub use decision::{Summary, label, sources, summary};
pub use sensitivity::{Headroom, headroom};
pub use table::{Align, Table};
