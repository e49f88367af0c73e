//! What differs for some clients. Which view a client has depends on its address and on the address of this server that it asks
//! (`view.rs`). All else that a view says is read by whoever decides about a name. What of it is in force changes with the time of day
//! and with pauses (`moment.rs`). `safe_search.rs` knows the names of search engines.

mod moment;
mod safe_search;
mod view;

pub use moment::{Moment, Paused};
pub use safe_search::safe_search;
pub use view::{InForce, View, ViewId, Views};
