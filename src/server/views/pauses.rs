//! The pauses and their ends. A pause is for the clients of one view or for all, and is measured by the time since boot, so that it
//! lasts as long as it was meant to whatever the clock is set to.

use std::time::Duration;

use crate::env::BootTime;
use crate::policy::Paused;

/// All pauses; at most one for a view, and one for all clients.
#[derive(Default)]
pub(super) struct Pauses(Vec<Pause>);

/// One pause.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Pause {
    /// `None`: all clients.
    pub(super) view: Option<String>,
    pub(super) end: BootTime,
}

impl Pauses {
    /// Begins a pause, or gives one that has begun another end.
    pub(super) fn begin(&mut self, view: Option<String>, end: BootTime) {
        self.0.retain(|pause| pause.view != view);
        self.0.push(Pause { view, end });
    }

    /// Ends the pause of a view, or every pause; returns those that have ended.
    pub(super) fn end(&mut self, view: Option<&str>) -> Vec<Pause> {
        self.take(|pause| view.is_none() || pause.view.as_deref() == view)
    }

    /// Takes out those that are over.
    pub(super) fn expire(&mut self, now: BootTime) -> Vec<Pause> {
        self.take(|pause| pause.end <= now)
    }

    /// Forgets the pauses of views that are no more.
    pub(super) fn keep_views(&mut self, views: &[&str]) -> Vec<Pause> {
        self.take(|pause| pause.view.as_deref().is_some_and(|view| !views.contains(&view)))
    }

    fn take(&mut self, is_meant: impl Fn(&Pause) -> bool) -> Vec<Pause> {
        let (taken, kept) = std::mem::take(&mut self.0).into_iter().partition(is_meant);
        self.0 = kept;
        taken
    }

    pub(super) fn all(&self) -> &[Pause] {
        &self.0
    }

    /// Time until the next one ends.
    pub(super) fn next_end(&self, now: BootTime) -> Option<Duration> {
        self.0.iter().map(|pause| pause.end.since(now)).min()
    }

    /// For whom a pause holds.
    pub(super) fn paused(&self) -> Paused {
        let views = self.0.iter().filter_map(|pause| pause.view.clone()).collect();
        Paused { all: self.0.iter().any(|pause| pause.view.is_none()), views }
    }
}
