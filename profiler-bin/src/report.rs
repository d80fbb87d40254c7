//! Results as people read them on a terminal.

mod decision;
mod table;

pub use decision::{Summary, label, sources, summary};
pub use table::{Align, Table};
