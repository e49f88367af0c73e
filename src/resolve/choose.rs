//! Which of a zone's servers is asked next: a pure decision over what is known of each.
//!
//! The fastest by smoothed round-trip time, with two exceptions: servers never asked get a guess that makes
//! them worth a try, and now and then (one in twenty) another is asked so that a server that has become
//! faster is noticed. A server that failed for this zone comes after all that did not.

use super::trace::Choice;

/// Asked at most so often for one question.
pub const TRIES_PER_ADDRESS: u8 = 2;
const EXPLORE_ONE_IN: usize = 20;
/// What an unknown server is taken for, before a spread of the same size is added.
const UNKNOWN_RTT_MS: u32 = 30;

#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Tries for this question so far.
    pub tries: u8,
    pub rtt_ms: Option<u32>,
    /// Known to fail for this zone, or waiting out a back-off.
    pub unfit: bool,
    /// Its replies to this question were of no use; asking again would only cost.
    pub spent: bool,
}

/// `roll` gives a uniform number below its argument. Returns the index and the reason.
pub fn choose(candidates: &[Candidate], configured: bool, tries_max: u8, mut roll: impl FnMut(usize) -> usize) -> Option<(usize, Choice)> {
    let open: Vec<usize> = (0..candidates.len()).filter(|&at| !candidates[at].spent && candidates[at].tries < tries_max).collect();
    let of = open.len();
    if of == 0 {
        return None;
    }
    if of == 1 {
        let choice = if candidates.len() == 1 && !configured { sole(&candidates[open[0]]) } else { Choice::LastResort };
        return Some((open[0], if configured { Choice::Configured } else { choice }));
    }
    if configured {
        let first = open.iter().copied().min_by_key(|&at| (candidates[at].tries, candidates[at].unfit, at))?;
        return Some((first, Choice::Configured));
    }
    let fewest = open.iter().map(|&at| rung(&candidates[at])).min()?;
    let level: Vec<usize> = open.into_iter().filter(|&at| rung(&candidates[at]) == fewest).collect();
    if level.len() > 1 && roll(EXPLORE_ONE_IN) == 0 {
        return Some((level[roll(level.len())], Choice::Exploring { of }));
    }
    let guess = |at: usize, roll: &mut dyn FnMut(usize) -> usize| {
        candidates[at].rtt_ms.unwrap_or_else(|| UNKNOWN_RTT_MS + roll(UNKNOWN_RTT_MS as usize) as u32)
    };
    let best = level.iter().map(|&at| (guess(at, &mut roll), at)).min()?;
    let choice = match candidates[best.1].rtt_ms {
        Some(rtt_ms) => Choice::Fastest { rtt_ms, of },
        None => Choice::Untried { of },
    };
    Some((best.1, choice))
}

fn sole(candidate: &Candidate) -> Choice {
    match candidate.rtt_ms {
        Some(rtt_ms) => Choice::Fastest { rtt_ms, of: 1 },
        None => Choice::Untried { of: 1 },
    }
}

/// Lower goes first: not yet tried and fit, then unfit, then a second try.
fn rung(candidate: &Candidate) -> u8 {
    candidate.tries * 2 + u8::from(candidate.unfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Candidate = Candidate { tries: 0, rtt_ms: None, unfit: false, spent: false };

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
            (&[Candidate { unfit: true, ..known(1) }, known(900)], Some(1)),
            (&[Candidate { tries: 1, ..known(1) }, known(900)], Some(1)),
            (&[Candidate { tries: 1, ..known(1) }, Candidate { unfit: true, ..known(900) }], Some(1)),
            (&[Candidate { tries: 2, ..FRESH }, Candidate { spent: true, ..FRESH }], None),
        ];
        for (candidates, expected) in rows {
            assert_eq!(choose(candidates, false, TRIES_PER_ADDRESS, never_explore).map(|(at, _)| at), *expected, "{candidates:?}");
        }
    }

    #[test]
    fn configured_servers_keep_their_order() {
        let mut list = [FRESH, Candidate { rtt_ms: Some(1), ..FRESH }];
        assert_eq!(choose(&list, true, TRIES_PER_ADDRESS, never_explore), Some((0, Choice::Configured)));
        list[0].tries = 1;
        assert_eq!(choose(&list, true, TRIES_PER_ADDRESS, never_explore), Some((1, Choice::Configured)));
    }
}
