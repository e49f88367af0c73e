//! What differs for some clients. Which view a client has depends on its address alone; all else that a view says is read by
//! whoever decides about a name.

mod safe_search;
mod view;

pub use safe_search::safe_search;
pub use view::{View, ViewId, Views};
