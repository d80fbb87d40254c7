//! Results as people read them on a terminal.

mod decision;
mod page;
mod sensitivity;
mod table;

pub use decision::{Summary, label, sources, summary};
pub use page::{REPORT_FILE, RunFiles, page};
pub use sensitivity::{Headroom, Picked, headroom};
pub use table::{Align, Table};
