//! What a run of the pipeline records when somebody wants it explained: the decisions taken here, beside the events of
//! the walk. Recording changes nothing: a client's query runs through the same code with the recorder off.

use std::cell::RefCell;
use std::net::IpAddr;

use super::outcome::Outcome;
use super::refusal::Refused;
use crate::record::{Name, Question, RrSet, Rtype};
use crate::resolve::{Answer, Event, Failure, Trace};

/// One decision.
#[derive(Clone, Debug)]
pub enum Note {
    /// The question's name lies in a zone hosted here.
    Hosted { zone: Name },
    /// A special-use name, and the document that sets it apart.
    Special { name: Name, document: &'static str },
    /// The client gets REFUSED.
    Refused(Refused),
    /// An alias leads out of the hosted zones and is not followed for this client.
    NotFollowed { target: Name, refused: Refused },
    /// The rebinding guard took addresses out of this set; the first of them.
    Stripped { name: Name, rtype: Rtype, dropped: IpAddr },
    /// DNSSEC validation failed; only a client with CD gets these records.
    Withheld(Box<Answer>),
    /// Resolving ended without an answer.
    Failed(Box<Failure>),
    /// How many queries were sent to servers.
    LookedUp { upstream_queries: u32 },
}

/// One question, how it was decided and resolved, and the reply that the client gets.
pub struct Explained {
    pub question: Question,
    pub notes: Vec<Note>,
    pub events: Vec<Event>,
    pub outcome: Outcome,
}

impl Explained {
    pub fn upstream_queries(&self) -> u32 {
        let looked_up = self.notes.iter().map(|note| match note {
            Note::LookedUp { upstream_queries } => *upstream_queries,
            Note::Hosted { .. }
            | Note::Special { .. }
            | Note::Refused(_)
            | Note::NotFollowed { .. }
            | Note::Stripped { .. }
            | Note::Withheld(_)
            | Note::Failed(_) => 0,
        });
        looked_up.sum()
    }

    /// Records that validation withheld from the reply.
    pub fn withheld(&self) -> Option<&[RrSet]> {
        self.notes.iter().find_map(|note| match note {
            Note::Withheld(answer) => Some(&answer.answers[..]),
            _ => None,
        })
    }
}

/// Takes notes, or does nothing.
pub(super) struct Recorder {
    pub trace: Trace,
    notes: Option<RefCell<Vec<Note>>>,
}

impl Recorder {
    pub fn off() -> Recorder {
        Recorder { trace: Trace::off(), notes: None }
    }

    pub fn on() -> Recorder {
        Recorder { trace: Trace::recording(), notes: Some(RefCell::default()) }
    }

    /// The note is only made when somebody wants it.
    pub fn note(&self, note: impl FnOnce() -> Note) {
        if let Some(notes) = &self.notes {
            notes.borrow_mut().push(note());
        }
    }

    pub fn finish(self) -> (Vec<Note>, Vec<Event>) {
        (self.notes.map(RefCell::into_inner).unwrap_or_default(), self.trace.events())
    }
}
