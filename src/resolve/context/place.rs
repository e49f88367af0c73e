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

    /// One more walk is under way for the question: it takes memory too.
    fn walk_begins(&self);

    /// A walk has ended.
    fn walk_ends(&self);
}

/// A walk that is under way for a question with a place.
pub(in crate::resolve) struct UnderWay(Option<Rc<dyn QuestionPlace>>);

impl UnderWay {
    /// The walk ends when the value is dropped.
    pub(in crate::resolve) fn begin(place: Option<&Rc<dyn QuestionPlace>>) -> UnderWay {
        place.inspect(|place| place.walk_begins());
        UnderWay(place.cloned())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.as_ref().inspect(|place| place.walk_ends());
    }
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
