//! One budget for all the work that a client's question causes; it is never refilled. A walk pays from the budget of the
//! question that started it.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use crate::limits::Limits;
use crate::metrics::SpentBound;

/// The limit that was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    UpstreamQueries(u32),
    Referrals(usize),
    ServerNames(usize),
    Depth(usize),
    /// Server names that were looked up without finding an address, while others were not looked up.
    AddressSearches(usize),
    Walks(usize),
    Time,
}

impl Bound {
    /// As it is counted.
    pub fn label(&self) -> SpentBound {
        match self {
            Bound::UpstreamQueries(_) => SpentBound::UpstreamQueries,
            Bound::Referrals(_) => SpentBound::Referrals,
            Bound::ServerNames(_) => SpentBound::ServerNames,
            Bound::Depth(_) => SpentBound::Depth,
            Bound::AddressSearches(_) => SpentBound::AddressSearches,
            Bound::Walks(_) => SpentBound::Walks,
            Bound::Time => SpentBound::Time,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::UpstreamQueries(count) => write!(f, "the question cost {count} queries to servers"),
            Bound::Referrals(count) => write!(f, "{count} referrals did not lead to the zone"),
            Bound::ServerNames(count) => write!(f, "no zone needs {count} servers"),
            Bound::Depth(count) => write!(f, "server names needed other server names {count} levels deep"),
            Bound::AddressSearches(count) => {
                write!(f, "{count} names of servers were looked up and have no address, others were not looked up")
            }
            Bound::Walks(count) => write!(f, "{count} walks are in progress already"),
            Bound::Time => f.write_str("the walk took too long"),
        }
    }
}

/// What a look-up can still do before it meets a limit of its question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Means {
    pub depth: u8,
    pub queries: u32,
    pub searches: u32,
}

impl Means {
    /// Does it meet each limit no earlier than `other`?
    pub fn cover(&self, other: &Means) -> bool {
        self.depth <= other.depth && self.queries >= other.queries && self.searches >= other.searches
    }
}

/// Cheap to clone: clones are the same budget.
#[derive(Clone)]
pub struct Budget(Rc<Inner>);

/// One search for the address of a server, in flight.
pub struct SearchInFlight(Budget);

impl Drop for SearchInFlight {
    fn drop(&mut self) {
        let in_flight = &self.0.0.searches_in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
    }
}

struct Inner {
    queries_left: Cell<u32>,
    queries_sent: Cell<u32>,
    limit: u32,
    /// What searches that find nothing may still cost, in the units of `SEARCH_ENDED_COST`.
    searches_left: Cell<u32>,
    searches_most: u32,
    searches_in_vain: Cell<usize>,
    searches_in_flight: Cell<usize>,
    minimised_in_vain_left: Cell<u32>,
    too_deep: Cell<bool>,
    crowded_out: Cell<bool>,
    has_waited: Cell<bool>,
    fell_short: Cell<bool>,
}

impl Budget {
    /// A full budget.
    pub fn new(limits: &Limits) -> Budget {
        let limit = limits.upstream_queries_per_question;
        Budget(Rc::new(Inner {
            queries_left: Cell::new(limit),
            queries_sent: Cell::new(0),
            limit,
            searches_left: Cell::new(limits.searches_in_vain_per_question),
            searches_most: limits.searches_in_vain_per_question,
            searches_in_vain: Cell::new(0),
            searches_in_flight: Cell::new(0),
            minimised_in_vain_left: Cell::new(limits.minimised_in_vain_per_question),
            too_deep: Cell::new(false),
            crowded_out: Cell::new(false),
            has_waited: Cell::new(false),
            fell_short: Cell::new(false),
        }))
    }

    /// What a look-up at this depth can still do.
    pub fn means(&self, depth: u8) -> Means {
        Means { depth, queries: self.0.queries_left.get(), searches: self.0.searches_left.get() }
    }

    /// Nothing has been spent yet.
    pub fn is_whole(&self) -> bool {
        self.0.queries_sent.get() == 0 && self.0.searches_left.get() == self.0.searches_most
    }

    /// May something be missing that a question with a whole budget would have got, so that a verdict without it is no
    /// knowledge about the data?
    pub fn may_lack_data(&self) -> bool {
        self.0.crowded_out.get() || self.0.fell_short.get() || self.is_spent()
    }

    /// Data that a verdict needs was not found because of a limit of the question.
    pub fn fell_short(&self) {
        self.0.fell_short.set(true);
    }

    /// The cache did not have it: a walk was begun or joined.
    pub fn waited(&self) {
        self.0.has_waited.set(true);
    }

    /// Whether some answer had to be waited for.
    pub fn has_waited(&self) -> bool {
        self.0.has_waited.get()
    }

    /// There was no room for one more walk or query: a limit of this server, not of the question.
    pub fn crowded_out(&self) {
        self.0.crowded_out.set(true);
    }

    /// Whether a limit of this server, not of the question, stopped some work.
    pub fn is_crowded(&self) -> bool {
        self.0.crowded_out.get()
    }

    /// From here on something is not tried that a question with a whole budget would try.
    pub fn is_spent(&self) -> bool {
        self.0.queries_left.get() == 0 || !self.may_search(0) || self.0.too_deep.get()
    }

    /// The address of a server was not looked for, because too many look-ups are nested already.
    pub fn too_deep(&self) {
        self.0.too_deep.set(true);
    }

    /// Pays for one query; an error if none is left.
    pub fn take_query(&self) -> Result<(), Bound> {
        let left = self.0.queries_left.get().checked_sub(1).ok_or(Bound::UpstreamQueries(self.0.limit))?;
        self.0.queries_left.set(left);
        self.0.queries_sent.set(self.0.queries_sent.get() + 1);
        Ok(())
    }

    /// May the address of one more server be looked for, if all searches in flight find nothing?
    pub fn may_search(&self, in_flight: usize) -> bool {
        self.0.searches_left.get() as usize > in_flight
    }

    /// Pays for a search that found no address.
    pub fn searched_in_vain(&self, cost: u32) {
        less(&self.0.searches_left, cost);
        self.0.searches_in_vain.set(self.0.searches_in_vain.get() + 1);
    }

    /// A search is in flight until the result is dropped.
    pub fn search(&self) -> SearchInFlight {
        self.0.searches_in_flight.set(self.0.searches_in_flight.get() + 1);
        SearchInFlight(self.clone())
    }

    /// Searches in flight, those on behalf of other searches included.
    pub fn searches_in_flight(&self) -> usize {
        self.0.searches_in_flight.get()
    }

    /// Searches that found no address.
    pub fn searches_in_vain(&self) -> usize {
        self.0.searches_in_vain.get()
    }

    /// May names still be shortened where minimisation is bounded? The last time is kept for the client's own question.
    pub fn may_minimise(&self, for_server: bool) -> bool {
        self.0.minimised_in_vain_left.get() > u32::from(for_server)
    }

    /// Pays for a minimised query that led to no new cut.
    pub fn minimised_in_vain(&self) {
        less(&self.0.minimised_in_vain_left, 1);
    }

    /// Queries sent so far.
    pub fn queries_sent(&self) -> u32 {
        self.0.queries_sent.get()
    }
}

fn less(left: &Cell<u32>, cost: u32) {
    left.set(left.get().saturating_sub(cost));
}
