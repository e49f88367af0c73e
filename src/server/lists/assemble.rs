//! Makes the next table: reads what has changed, and takes over the rest from the table in force.

use std::path::Path;

use super::source::Source;
use super::state::ListState;
use crate::config::ListSettings;
use crate::policy::{Builder, ListId, Lists};

/// The next table with the state of each list, or why there is none.
pub(super) struct Assembled {
    pub(super) lists: Lists,
    pub(super) states: Vec<ListState>,
}

/// A list with fewer names than one in so many of those before is kept as it was: it is probably cut short.
const SHRINKS_TO: u64 = 2;

/// `anew`: also lists whose file looks as it did. `before` are the states of the lists in `old`.
pub(super) fn assemble(
    settings: &[ListSettings],
    before: &[ListState],
    old: &Lists,
    key: [u64; 2],
    state_folder: Option<&Path>,
    anew: bool,
) -> Result<Assembled, String> {
    let place = |list: &ListSettings| {
        let same = |state: &ListState| state.is_loaded && state.settings.name() == list.name() && state.has_dialect_of(list);
        (0u8..).zip(before).find(|(_, state)| same(state)).map(|(at, state)| (ListId(at), state))
    };
    let mut all: Vec<Reading<'_>> = settings.iter().map(|list| Reading::begin(list, place(list), state_folder, anew)).collect();
    // Whatever proves unusable while it is read is left as it was in another attempt: each costs one more.
    for _ in 0..=settings.len() {
        let names = settings.iter().map(|list| list.name().to_owned()).collect();
        let kept = all.iter().map(|reading| reading.old.map(|(list, _)| list).filter(|_| reading.source.is_none())).collect();
        let mut builder = Builder::new(names, key, old, kept);
        let mut is_good = true;
        while is_good && builder.next_round() {
            for (at, reading) in (0u8..).zip(&mut all) {
                is_good &= reading.read(ListId(at), &mut builder);
            }
        }
        if !is_good {
            continue;
        }
        let lists = builder.finish().map_err(|error| error.to_string())?;
        if (0u8..).zip(&mut all).all(|(at, reading)| reading.is_long_enough(lists.count(ListId(at)), old)) {
            return Ok(Assembled { lists, states: all.into_iter().map(|reading| reading.state).collect() });
        }
    }
    Err("the lists change faster than they can be read".to_owned())
}

/// One list on its way into the table.
struct Reading<'a> {
    state: ListState,
    old: Option<(ListId, &'a ListState)>,
    /// `None`: it is taken over from the old table, or there is nothing.
    source: Option<Source>,
}

impl<'a> Reading<'a> {
    fn begin(list: &ListSettings, old: Option<(ListId, &'a ListState)>, state_folder: Option<&Path>, anew: bool) -> Reading<'a> {
        let before = old.map(|(_, state)| state.clone()).unwrap_or_default();
        let mut reading = Reading { state: ListState { settings: list.clone(), ..before }, old, source: None };
        match Source::open(list, state_folder) {
            Err(what) => {
                reading.state.seen = None;
                reading.refuse(what);
            }
            Ok(source) if !anew && old.is_some() && reading.state.seen == Some(source.stamp) => {}
            Ok(source) => {
                reading.state.seen = Some(source.stamp);
                reading.source = Some(source);
            }
        }
        reading
    }

    /// It stays as it was.
    fn refuse(&mut self, what: String) {
        self.source = None;
        self.state.is_loaded = self.old.is_some();
        self.state.tally = self.old.map(|(_, state)| state.tally.clone()).unwrap_or_default();
        self.state.problem = Some(what);
    }

    /// False if the source cannot be used.
    fn read(&mut self, list: ListId, builder: &mut Builder<'_>) -> bool {
        let Some(source) = &mut self.source else { return true };
        match source.read(&self.state.settings, &mut |rule| builder.add(list, rule)) {
            Ok(tally) => {
                (self.state.tally, self.state.problem, self.state.is_loaded) = (tally, None, true);
                true
            }
            Err(what) => {
                self.refuse(what);
                false
            }
        }
    }

    fn is_long_enough(&mut self, names: u64, old: &Lists) -> bool {
        let Some((list, _)) = self.old.filter(|_| self.source.is_some()) else { return true };
        let before = old.count(list);
        let is_enough = names.saturating_mul(SHRINKS_TO) >= before;
        if !is_enough {
            self.refuse(format!("its source has {names} names now, fewer than half of the {before} before"));
        }
        is_enough
    }
}
