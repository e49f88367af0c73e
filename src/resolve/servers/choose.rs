//! Which of a zone's servers is asked next: a pure decision over the measurements of each.
//!
//! The fastest by smoothed round-trip time, with two exceptions: for a server that was never asked a time is assumed that
//! makes it worth a try, the shorter the more often the servers of its zone are asked; and one time in twenty a server that
//! has not replied for long is asked, so that one that has become faster is noticed. A server that failed for this zone
//! comes after all that did not, and one whose address family does not work from here comes last. Where no client waits for
//! the reply, servers that were never asked come first: measuring them costs no client any time.

use smallvec::SmallVec;

use crate::resolve::context::trace::Choice;

const EXPLORE_ONE_IN: usize = 20;
/// Assumed for a server that was never asked, before other servers of the zone have replied. The root and the TLDs have
/// servers everywhere.
const UNKNOWN_RTT_MS: u32 = 30;
const UNKNOWN_NEAR_RTT_MS: u32 = 15;

/// What is known of one address that may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Tries for this question so far.
    pub tries: u8,
    pub rtt_ms: Option<u32>,
    /// How often it has replied, to any question.
    pub replies: u32,
    /// It has not replied for so long that it may have changed.
    pub stale: bool,
    /// It failed for this zone, or is in back-off, or its address family may not work.
    pub unfit: bool,
    /// No server replies by its address family.
    pub cut_off: bool,
    /// Its replies to this question were useless; it is not asked again.
    pub spent: bool,
}

/// Indices of candidates.
type Places = SmallVec<[usize; 16]>;

/// Which server comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// A client waits: the fastest one.
    Quick,
    /// No client waits: one that was never asked.
    Curious,
    /// In the order of the configuration.
    Configured,
}

/// `near`: these serve the root or a TLD. `roll` gives a uniform number below its argument. Returns the index and the reason.
pub fn choose(
    candidates: &[Candidate],
    order: Order,
    near: bool,
    tries_max: u8,
    mut roll: impl FnMut(usize) -> usize,
) -> Option<(usize, Choice)> {
    let open: Places = (0..candidates.len()).filter(|&at| !candidates[at].spent && candidates[at].tries < tries_max).collect();
    if open.is_empty() {
        return None;
    }
    let configured = order == Order::Configured;
    if open.len() == 1 {
        let choice = if candidates.len() == 1 && !configured { sole(&candidates[open[0]]) } else { Choice::LastResort };
        return Some((open[0], if configured { Choice::Configured } else { choice }));
    }
    if configured {
        let first = open.iter().copied().min_by_key(|&at| (rung(&candidates[at]), at))?;
        return Some((first, Choice::Configured));
    }
    let reachable = open.iter().filter(|&&at| !candidates[at].cut_off).count();
    let of = if reachable == 0 { open.len() } else { reachable };
    let fewest = open.iter().map(|&at| rung(&candidates[at])).min()?;
    let level: Places = open.into_iter().filter(|&at| rung(&candidates[at]) == fewest).collect();
    let stale: Places = level.iter().copied().filter(|&at| candidates[at].stale).collect();
    if level.len() > 1 && !stale.is_empty() && roll(EXPLORE_ONE_IN) == 0 {
        return Some((stale[roll(stale.len())], Choice::Exploring { of }));
    }
    // Among equal ones at random, so that not all resolvers choose the same.
    let unknown = match order {
        Order::Curious => 0,
        _ => unknown_rtt_ms(near, level.iter().map(|&at| candidates[at].replies).fold(0, u32::saturating_add)),
    };
    let (_, _, best) = level.iter().map(|&at| (candidates[at].rtt_ms.unwrap_or(unknown), roll(1 << 16), at)).min()?;
    let choice = match candidates[best].rtt_ms {
        Some(rtt_ms) => Choice::Fastest { rtt_ms, of },
        None => Choice::Untried { of },
    };
    Some((best, choice))
}

/// Servers that are asked often are worth measuring even if one reply comes late.
fn unknown_rtt_ms(near: bool, replies: u32) -> u32 {
    let guess = if near { UNKNOWN_NEAR_RTT_MS } else { UNKNOWN_RTT_MS };
    4 * guess / (4 + replies.max(1).ilog2())
}

fn sole(candidate: &Candidate) -> Choice {
    match candidate.rtt_ms {
        Some(rtt_ms) => Choice::Fastest { rtt_ms, of: 1 },
        None => Choice::Untried { of: 1 },
    }
}

/// Lower comes first: not yet tried and fit, then unfit, then a second try; then the same for those that are cut off.
fn rung(candidate: &Candidate) -> (bool, u8, bool) {
    (candidate.cut_off, candidate.tries, candidate.unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::servers::TRIES_PER_ADDRESS_MAX;

    const FRESH: Candidate = Candidate { tries: 0, rtt_ms: None, replies: 0, stale: false, unfit: false, cut_off: false, spent: false };

    fn never_explore(_: usize) -> usize {
        1
    }

    #[test]
    fn table() {
        let known = |rtt_ms| Candidate { rtt_ms: Some(rtt_ms), ..FRESH };
        let rows: &[(&[Candidate], Option<usize>)] = &[
            (&[], None),
            (&[known(90), known(20)], Some(1)),
            (&[known(90), FRESH], Some(1)),
            (&[known(10), FRESH], Some(0)),
            (&[known(20), FRESH], Some(0)),
            (&[Candidate { replies: 1000, ..known(20) }, FRESH], Some(1)),
            (&[Candidate { unfit: true, ..known(1) }, known(900)], Some(1)),
            (&[Candidate { tries: 1, ..known(1) }, known(900)], Some(1)),
            (&[Candidate { tries: 1, ..known(1) }, Candidate { unfit: true, ..known(900) }], Some(1)),
            (&[Candidate { cut_off: true, ..known(1) }, Candidate { tries: 1, unfit: true, ..known(900) }], Some(1)),
            (&[Candidate { cut_off: true, tries: 1, ..known(1) }, Candidate { cut_off: true, ..known(900) }], Some(1)),
            (&[Candidate { cut_off: true, ..known(1) }, Candidate { tries: 2, ..known(900) }], Some(0)),
            (&[Candidate { tries: 2, ..FRESH }, Candidate { spent: true, ..FRESH }], None),
        ];
        for (candidates, expected) in rows {
            assert_eq!(
                choose(candidates, Order::Quick, false, TRIES_PER_ADDRESS_MAX, never_explore).map(|(at, _)| at),
                *expected,
                "{candidates:?}"
            );
        }
    }

    #[test]
    fn only_one_that_was_not_heard_for_long_is_explored() {
        let known = |rtt_ms, stale| Candidate { rtt_ms: Some(rtt_ms), stale, ..FRESH };
        let explore = |list: &[Candidate]| choose(list, Order::Quick, false, TRIES_PER_ADDRESS_MAX, |_| 0).map(|(at, _)| at);
        assert_eq!(explore(&[known(10, false), known(90, false), known(90, true)]), Some(2));
        assert_eq!(explore(&[known(10, false), known(90, false)]), Some(0));
        assert_eq!(explore(&[known(10, true)]), Some(0));
    }

    #[test]
    fn configured_servers_keep_their_order() {
        let mut list = [FRESH, Candidate { rtt_ms: Some(1), ..FRESH }];
        assert_eq!(choose(&list, Order::Configured, false, TRIES_PER_ADDRESS_MAX, never_explore), Some((0, Choice::Configured)));
        list[0].tries = 1;
        assert_eq!(choose(&list, Order::Configured, false, TRIES_PER_ADDRESS_MAX, never_explore), Some((1, Choice::Configured)));
        list[0] = Candidate { cut_off: true, ..FRESH };
        assert_eq!(choose(&list, Order::Configured, false, TRIES_PER_ADDRESS_MAX, never_explore), Some((1, Choice::Configured)));
    }

    #[test]
    fn unknown_servers_of_the_root_and_the_tlds_are_taken_for_near() {
        let list = [Candidate { rtt_ms: Some(20), ..FRESH }, FRESH];
        let first = |near| choose(&list, Order::Quick, near, TRIES_PER_ADDRESS_MAX, never_explore).map(|(at, _)| at);
        assert_eq!((first(false), first(true)), (Some(0), Some(1)));
    }

    #[test]
    fn where_nobody_waits_an_unknown_one_is_tried() {
        let known = |rtt_ms| Candidate { rtt_ms: Some(rtt_ms), ..FRESH };
        let first = |list: &[Candidate], order| choose(list, order, false, TRIES_PER_ADDRESS_MAX, never_explore).map(|(at, _)| at);
        let list = [known(2), FRESH];
        assert_eq!((first(&list, Order::Quick), first(&list, Order::Curious)), (Some(0), Some(1)));
        assert_eq!(first(&[known(2), Candidate { unfit: true, ..FRESH }], Order::Curious), Some(0));
        assert_eq!(first(&[known(9), known(2)], Order::Curious), Some(1));
    }

    #[test]
    fn those_that_are_cut_off_do_not_count() {
        let known = |rtt_ms, cut_off| Candidate { rtt_ms: Some(rtt_ms), cut_off, ..FRESH };
        let first = |list: &[Candidate]| choose(list, Order::Quick, false, TRIES_PER_ADDRESS_MAX, never_explore);
        let list = [known(10, true), known(20, false), known(30, false)];
        assert_eq!(first(&list), Some((1, Choice::Fastest { rtt_ms: 20, of: 2 })));
        assert_eq!(
            first(&list.map(|candidate| Candidate { cut_off: true, ..candidate })),
            Some((0, Choice::Fastest { rtt_ms: 10, of: 3 }))
        );
    }
}
