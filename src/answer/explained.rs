//! What a run of the pipeline records for an explanation: its decisions, besides the events of the walk. Recording changes
//! nothing: a client's query runs through the same code with the recorder off.

use std::cell::RefCell;
use std::net::IpAddr;

use super::outcome::Outcome;
use super::refusal::Refused;
use crate::policy::Trigger;
use crate::record::{Name, Question, RrSet, Rtype};
use crate::resolve::{Answer, Event, Failure, Trace};

/// One decision.
#[derive(Clone, Debug)]
pub enum Note {
    /// The query name lies in a zone that is hosted here.
    Hosted { zone: Name },
    /// `local-data` or `hosts-file` has the query name.
    Listed,
    /// The query name stands for an address behind `dns64.prefix`.
    TranslatedAddress,
    /// A special-use name, and the document that defines it.
    Special { name: Name, document: &'static str },
    /// A rule of a response policy zone matches; the rule itself, and what it does. With `is_log_only` it changes nothing.
    PolicyRule { zone: Name, trigger: Trigger, owner: Name, action: String, is_log_only: bool },
    /// A list in force has the name, which is the query name or an alias target of the answer; what follows from it for this type.
    OnList { name: Name, rtype: Rtype, list: String, verdict: ListAct },
    /// A list has the name, and is not in force for this client.
    OutOfForce { name: Name, list: String, why: String },
    /// The name of the client's view.
    View(String),
    /// The view leads to another form of a search engine.
    SafeSearch { name: Name, target: Name },
    /// The client gets REFUSED.
    Refused(Refused),
    /// An alias leads out of the hosted zones and is not followed for this client.
    NotFollowed { target: Name, refused: Refused },
    /// The rebinding guard removed addresses from this RRset; `dropped` is the first of them.
    Stripped { name: Name, rtype: Rtype, dropped: IpAddr },
    /// AAAA records were made of the A records of this name (RFC 6147); the first address, and what stands for it.
    Synthesised { name: Name, from: IpAddr, to: IpAddr },
    /// DNSSEC validation failed; only a client that sets CD gets these records.
    Withheld(Box<Answer>),
    /// The look-up ended without an answer.
    Failed(Box<Failure>),
    /// Number of queries sent to servers.
    LookedUp { upstream_queries: u32 },
}

/// What a list does with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListAct {
    Blocks,
    Allows,
    Rewrites,
}

/// One question, its decisions and steps, and the reply that the client gets.
pub struct Explained {
    pub question: Question,
    pub notes: Vec<Note>,
    pub events: Vec<Event>,
    pub outcome: Outcome,
}

impl Explained {
    /// Queries that were sent to servers for this question.
    pub fn upstream_queries(&self) -> u32 {
        let looked_up = self.notes.iter().map(|note| match note {
            Note::LookedUp { upstream_queries } => *upstream_queries,
            Note::Hosted { .. }
            | Note::Listed
            | Note::TranslatedAddress
            | Note::Special { .. }
            | Note::PolicyRule { .. }
            | Note::OnList { .. }
            | Note::OutOfForce { .. }
            | Note::View(_)
            | Note::SafeSearch { .. }
            | Note::Refused(_)
            | Note::NotFollowed { .. }
            | Note::Stripped { .. }
            | Note::Synthesised { .. }
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

/// Records decisions, or does nothing.
pub(super) struct Recorder {
    pub trace: Trace,
    notes: Option<RefCell<Vec<Note>>>,
}

impl Recorder {
    /// Records nothing.
    pub fn off() -> Recorder {
        Recorder { trace: Trace::off(), notes: None }
    }

    /// Records everything.
    pub fn on() -> Recorder {
        Recorder { trace: Trace::recording(), notes: Some(RefCell::default()) }
    }

    /// The note is made only if this recorder is on.
    pub fn note(&self, note: impl FnOnce() -> Note) {
        if let Some(notes) = &self.notes {
            notes.borrow_mut().push(note());
        }
    }

    /// Whether notes are made.
    pub fn is_on(&self) -> bool {
        self.notes.is_some()
    }

    /// The decisions, and the events of the walk.
    pub fn finish(self) -> (Vec<Note>, Vec<Event>) {
        (self.notes.map(RefCell::into_inner).unwrap_or_default(), self.trace.events())
    }
}
