//! The views, compiled from the settings.

use std::net::{IpAddr, SocketAddr};

use super::moment::{Moment, OutOfForce};
use crate::config::{BlockAnswer, ListenPlace, SafeSearch, ScheduleRule, Settings, ViewForward, ViewSettings};
use crate::limits::lists::LISTS_MAX;
use crate::policy::{Acl, Found, ListId, ListSet, ListVerdict, Lists, LocalData, PolicySet};
use crate::record::{Name, Question};

/// The place of a view in the configuration, from 1; 0: the view of all other clients.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ViewId(pub u8);

/// One view.
pub struct View {
    pub name: String,
    clients: Acl,
    /// Empty: wherever this server is asked.
    listen: Vec<ListenPlace>,
    lists: Option<Vec<String>>,
    schedule: Vec<ScheduleRule>,
    pub rpz: PolicySet,
    /// `None`: the records that are for everybody.
    pub local_data: Option<LocalData>,
    pub block_answer: BlockAnswer,
    pub safe_search: SafeSearch,
    /// Whom to ask instead of those whom others' questions are sent to.
    pub forward: Vec<ViewForward>,
    /// The query log tells of its clients.
    pub query_log: bool,
}

/// All views. The first is the one of clients that no other has.
pub struct Views {
    all: Vec<View>,
    has_safe_search: bool,
    /// Some views differ in their response policy zones.
    pub differ_in_rpz: bool,
}

impl Views {
    pub fn new(settings: &Settings) -> Views {
        let other = View {
            name: String::new(),
            clients: Acl::default(),
            listen: Vec::new(),
            lists: None,
            schedule: Vec::new(),
            rpz: PolicySet::ALL,
            local_data: None,
            block_answer: settings.policy.block_answer.clone().unwrap_or_default(),
            safe_search: SafeSearch::Off,
            forward: Vec::new(),
            query_log: true,
        };
        let all: Vec<View> = [other].into_iter().chain(settings.views.iter().map(|view| View::new(view, settings))).collect();
        Views {
            has_safe_search: all.iter().any(|view| view.safe_search != SafeSearch::Off),
            differ_in_rpz: all.iter().any(|view| view.rpz != PolicySet::ALL),
            all,
        }
    }

    /// Whether all clients get the same.
    #[inline]
    pub fn is_one(&self) -> bool {
        self.all.len() == 1
    }

    /// The view of a client that has asked at this address. Where that is not known, views for some addresses are for no client.
    pub fn of(&self, client: IpAddr, local: Option<SocketAddr>) -> ViewId {
        let at = self.all.iter().skip(1).position(|view| view.is_asked_at(local) && view.clients.contains(client));
        ViewId(at.map_or(0, |at| at as u8 + 1))
    }

    pub fn get(&self, view: ViewId) -> &View {
        self.all.get(usize::from(view.0)).unwrap_or(&self.all[0])
    }

    /// What is in force in each view at this moment.
    pub fn in_force(&self, lists: &Lists, moment: &Moment) -> Vec<InForce> {
        let all = |view: &View| InForce { lists: view.in_force(lists, moment), is_paused: moment.paused.has(&view.name) };
        self.all.iter().map(all).collect()
    }

    /// All views, the one of clients that no other has first.
    pub fn each(&self) -> impl Iterator<Item = &View> {
        self.all.iter()
    }

    /// The names of the views, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().skip(1).map(|view| view.name.as_str())
    }

    /// Whether the records or forward rules of some view, or safe search, make the answer for this question differ between views.
    /// `shared`: the records for clients whose view has none of its own.
    pub fn concern(&self, question: &Question, shared: &LocalData) -> bool {
        let mut of_views = self.all.iter().filter_map(|view| view.local_data.as_ref()).peekable();
        let differ = of_views.peek().is_some() && (shared.concerns(question) || of_views.any(|data| data.concerns(question)));
        let is_forwarded = |view: &View| view.forward.iter().any(|forward| question.name.is_within(&forward.zone));
        differ || self.has_safe_search && safe_search_concerns(&question.name) || self.all.iter().any(is_forwarded)
    }
}

/// What lists are in force for the clients of a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InForce {
    lists: ListSet,
    /// Nothing is blocked. Exceptions hold, because they are also exceptions from response policy zones.
    is_paused: bool,
}

impl InForce {
    #[inline]
    pub fn verdict(self, found: &Found) -> ListVerdict {
        match found.verdict(self.lists) {
            ListVerdict::Blocked(_) | ListVerdict::Rewritten(..) if self.is_paused => ListVerdict::Pass,
            verdict => verdict,
        }
    }
}

impl View {
    fn in_force(&self, lists: &Lists, moment: &Moment) -> ListSet {
        if self.lists.is_none() && self.schedule.is_empty() {
            return ListSet::ALL;
        }
        let ids = (0..LISTS_MAX as u8).map(ListId);
        let in_force = ids.filter(|list| self.has(lists.name(*list)) && moment.has_in_force(&self.schedule, lists.name(*list)));
        in_force.fold(ListSet::default(), |set, list| set.or(ListSet::of(list)))
    }

    fn is_asked_at(&self, local: Option<SocketAddr>) -> bool {
        self.listen.is_empty() || local.is_some_and(|local| self.listen.iter().any(|place| place.is_at(local)))
    }

    fn has(&self, list: &str) -> bool {
        self.lists.as_ref().is_none_or(|named| named.iter().any(|name| name == list))
    }

    /// The entries of its schedule for a list.
    pub fn schedule_of(&self, list: &str) -> impl Iterator<Item = &ScheduleRule> {
        self.schedule.iter().filter(move |rule| rule.list == list)
    }

    /// The lists that have a schedule, each once.
    pub fn scheduled(&self) -> Vec<&str> {
        let mut lists: Vec<&str> = Vec::new();
        for rule in &self.schedule {
            if !lists.contains(&rule.list.as_str()) {
                lists.push(&rule.list);
            }
        }
        lists
    }

    /// Why a list does nothing for its clients; `None`: it is in force. `is_block`: what it says of the name is a block or another answer,
    /// which a pause takes out of force, and no exception.
    pub fn why_out_of_force(&self, list: &str, is_block: bool, moment: &Moment) -> Option<OutOfForce> {
        if !self.has(list) {
            return Some(OutOfForce::NotInView);
        }
        if !moment.has_in_force(&self.schedule, list) {
            let times: Vec<String> = self.schedule_of(list).map(ScheduleRule::times).collect();
            return Some(OutOfForce::Schedule(times.join(", ")));
        }
        (is_block && moment.paused.has(&self.name)).then_some(OutOfForce::Paused)
    }

    fn new(settings: &ViewSettings, all: &Settings) -> View {
        let rpz = settings.rpz.as_ref().map(|zones| {
            let place = |zone: &Name| all.rpz.iter().position(|rpz| rpz.zone == *zone);
            PolicySet::of(zones.iter().filter_map(place))
        });
        View {
            name: settings.name().to_owned(),
            clients: Acl::new(&settings.clients),
            listen: settings.listen.clone(),
            lists: settings.lists.clone(),
            schedule: settings.schedule.clone(),
            rpz: rpz.unwrap_or(PolicySet::ALL),
            local_data: settings.local_data.is_some().then(|| LocalData::new(&settings.local_records)),
            block_answer: settings.block_answer.clone().or_else(|| all.policy.block_answer.clone()).unwrap_or_default(),
            safe_search: settings.safe_search,
            forward: settings.forward.clone(),
            query_log: !settings.is_unlogged,
        }
    }
}

fn safe_search_concerns(name: &Name) -> bool {
    super::safe_search(name, SafeSearch::Strict).is_some()
}
