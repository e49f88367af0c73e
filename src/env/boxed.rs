//! Futures on the heap, made where they stay.

use std::pin::Pin;

/// Makes a future in its own place on the heap. `Box::pin` makes it on the stack, and then copies all of it, which is
/// kilobytes for a future that has not begun yet.
#[inline]
pub fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    // Nothing may come between the call and the write: the compiler could not leave out the copy.
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}
