//! Makes Cairn the resolver that this system uses, and undoes that exactly: `cairn system`.
//!
//! `owner.rs` says who writes /etc/resolv.conf, `plan.rs` what has to change, `undo.rs` what is taken back; all three are
//! decisions about values. `view.rs` reads and writes files below a root, `machine.rs` runs the system's own tools, and
//! `install.rs` and `uninstall.rs` carry out. `manifest.rs` is the memory between the two, written before anything changes.
//!
//! Knows nothing of: clap, how a question is answered, the cache.

mod install;
mod lines;
mod look_up;
mod machine;
mod manifest;
mod owner;
mod plan;
mod report;
mod resolv_conf;
mod status;
mod target;
#[cfg(test)]
mod tests;
mod undo;
mod uninstall;
mod view;

pub use install::{Request, install};
pub use look_up::look_up;
pub use machine::{RealMachine, is_root};
pub use report::Report;
pub use status::status;
pub use target::candidates;
pub use uninstall::uninstall;
pub use view::View;
