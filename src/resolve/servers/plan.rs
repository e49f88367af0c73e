//! One query to one server, decided but not yet sent; and what becomes of it.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::cache::{CaseState, Manner, Standing};
use crate::record::Question;
use crate::resolve::context::trace::Choice;
use crate::resolve::network::offline::Sent;
use crate::upstream::{AskError, Reply};

/// Queries without reply after which a simpler form is tried.
const SILENT_BEFORE: u8 = 2;

/// A server to be asked next.
#[derive(Clone, Copy)]
pub(in crate::resolve) struct Picked {
    pub(in crate::resolve) address: SocketAddr,
    pub(in crate::resolve) why: Choice,
    pub(in crate::resolve) standing: Standing,
    /// It was not asked yet and has no known fault.
    pub(in crate::resolve) hopeful: bool,
}

/// A query, decided.
#[derive(Clone)]
pub(in crate::resolve) struct Plan {
    pub(in crate::resolve) question: Rc<Question>,
    pub(in crate::resolve) minimised: bool,
    pub(in crate::resolve) address: SocketAddr,
    pub(in crate::resolve) why: Choice,
    pub(in crate::resolve) standing: Standing,
    pub(in crate::resolve) recursive: bool,
    pub(in crate::resolve) with_edns: bool,
    /// The zone is signed: a reply without DO in its query has no signatures, and is of no use.
    pub(in crate::resolve) needs_edns: bool,
    pub(in crate::resolve) form: Form,
    pub(in crate::resolve) stage: Stage,
    /// Of a check, and of what confirms it: the form in which the question was asked first, and the simpler form that is
    /// tried in its place.
    pub(in crate::resolve) asked_in: Form,
    pub(in crate::resolve) tried_in: Form,
    /// It has this form because the server did not reply.
    pub(in crate::resolve) is_after_silence: bool,
    /// The server has shown that it copes with mixed letter case and with options.
    pub(in crate::resolve) copes: bool,
    /// The last replies spoke against that.
    pub(in crate::resolve) was_doubted: bool,
    /// It goes over TCP because nothing else makes a reply to it hard to forge.
    pub(in crate::resolve) tcp_vouches: bool,
}

/// What became of a query.
pub(in crate::resolve) struct Outcome {
    pub(in crate::resolve) sent: Sent,
    /// `None`: this machine's network has changed while the reply was waited for.
    pub(in crate::resolve) result: Option<Result<Reply, AskError>>,
}

/// How a query is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::resolve) struct Form {
    pub(in crate::resolve) lower: bool,
    pub(in crate::resolve) edns: EdnsForm,
}

/// Which EDNS a query has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(in crate::resolve) enum EdnsForm {
    #[default]
    Full,
    NoOptions,
    None,
}

/// What a query is sent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::resolve) enum Stage {
    #[default]
    First,
    /// To check a denial or an error.
    Check,
    /// To confirm over TCP what a check brought, in the form in which the question was asked first.
    ConfirmAsked,
    /// The same in mixed case, and for the rest as simple as the check.
    ConfirmMixed,
    /// The same as simple as the check.
    ConfirmSimple,
}

impl Plan {
    /// The first attempt for this address, in the form that its server is known to support.
    pub(in crate::resolve) fn new(
        question: Rc<Question>,
        minimised: bool,
        address: SocketAddr,
        why: Choice,
        standing: Standing,
        recursive: bool,
        with_edns: bool,
    ) -> Plan {
        let (form, stage) = (Form::default(), Stage::First);
        Plan {
            question,
            minimised,
            address,
            why,
            standing,
            recursive,
            with_edns,
            needs_edns: false,
            form,
            stage,
            asked_in: form,
            tried_in: form,
            is_after_silence: false,
            copes: false,
            was_doubted: false,
            tcp_vouches: false,
        }
    }

    /// The same question to the same server in a simpler form.
    pub(in crate::resolve) fn check_in(&self, form: Form) -> Plan {
        let asked_in = if self.stage == Stage::First { self.form } else { self.asked_in };
        Plan { asked_in, tried_in: form, ..self.again(form, Stage::Check) }
    }

    /// The same question to the same server, in this form.
    fn again(&self, form: Form, stage: Stage) -> Plan {
        Plan { form, stage, with_edns: form.edns != EdnsForm::None, ..self.clone() }
    }

    /// What comes after a check that brought something, and after each confirmation that did not agree with it.
    pub(in crate::resolve) fn next_confirmation(&self) -> Option<Plan> {
        let (asked, tried) = (self.asked_in, self.tried_in);
        let in_mixed = Form { lower: asked.lower, ..tried };
        match self.stage {
            Stage::First | Stage::ConfirmSimple => None,
            Stage::Check => Some(self.again(asked, Stage::ConfirmAsked)),
            Stage::ConfirmAsked if in_mixed != asked && in_mixed != tried => Some(self.again(in_mixed, Stage::ConfirmMixed)),
            Stage::ConfirmAsked | Stage::ConfirmMixed => Some(self.again(tried, Stage::ConfirmSimple)),
        }
    }

    /// With the form that the server's history asks for, unless the form itself is what is tested. `silent`: queries of
    /// this question that the server has not replied to.
    pub(in crate::resolve) fn formed(&self, manner: &Manner, silent: u8) -> Plan {
        let mut plan = self.clone();
        (plan.copes, plan.was_doubted) = (manner.case == CaseState::Works, manner.was_doubted);
        if plan.stage == Stage::First {
            plan.form = Form::of(manner, silent);
            plan.is_after_silence = !plan.copes && silent >= SILENT_BEFORE;
        }
        if !plan.with_edns {
            plan.form.edns = EdnsForm::None;
        } else if plan.needs_edns {
            plan.form.edns = plan.form.edns.min(EdnsForm::NoOptions);
        }
        plan.with_edns = plan.form.edns != EdnsForm::None;
        let cookie_vouches = plan.form.edns == EdnsForm::Full && !manner.cookie.is_empty();
        plan.tcp_vouches = match plan.stage {
            Stage::First => plan.form.lower && !plan.is_after_silence && !cookie_vouches && !manner.no_tcp,
            Stage::Check => false,
            Stage::ConfirmAsked | Stage::ConfirmMixed | Stage::ConfirmSimple => true,
        };
        plan
    }
}

impl Form {
    /// What is known of a server that is to be asked, and its silence, decide on the form of the next query.
    pub(in crate::resolve) fn of(manner: &Manner, silent: u8) -> Form {
        let known = Form {
            lower: matches!(manner.case, CaseState::LowerUntil(_)),
            edns: if manner.no_options { EdnsForm::NoOptions } else { EdnsForm::Full },
        };
        match silent {
            _ if manner.case == CaseState::Works || silent < SILENT_BEFORE => known,
            SILENT_BEFORE => Form { lower: true, edns: EdnsForm::NoOptions },
            _ => Form { lower: true, edns: EdnsForm::None },
        }
    }
}
