//! The place of a client's question among all questions in progress. All work for the question holds the place, and stops
//! when it is given to another question.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Free again when the last clone is dropped.
pub trait QuestionPlace {
    /// Ready when the place was given to another question.
    fn poll_lost(&self, cx: &Context<'_>) -> Poll<()>;
}

/// The result of `work`, or `None` where the place is lost first. The place is polled before the work, so that the work
/// cannot mistake its loss for a failure. By reference: a future that is moved into another one takes its room twice.
pub(in crate::resolve) async fn unless_lost<T>(
    place: Option<&Rc<dyn QuestionPlace>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        if place.is_some_and(|place| place.poll_lost(cx).is_ready()) {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}
