//! The place that a client's question has among all that are under way. Everything that is done for the question holds
//! it, and stops when it is given to another question.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Free again when the last clone is dropped.
pub trait QuestionPlace {
    /// Ready when the place was given to another question.
    fn poll_lost(&self, cx: &Context<'_>) -> Poll<()>;
}

/// `None` where the place is lost first. It is looked at before the work, which must draw no conclusion from what it
/// could not do without its place.
pub(in crate::resolve) async fn unless_lost<T>(place: Option<&Rc<dyn QuestionPlace>>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if place.is_some_and(|place| place.poll_lost(cx).is_ready()) {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}
