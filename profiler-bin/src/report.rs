//! Results as people read them on a terminal.

mod decision;
mod table;

pub use decision::{Summary, sources, summary};
pub use table::{Align, Table};
