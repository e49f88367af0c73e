//! Makes the next table: reads what has changed, and takes over the rest from the table in force.

use std::path::{Path, PathBuf};

use super::source::Source;
use super::state::ListState;
use crate::config::ListSettings;
use crate::policy::{Builder, ListId, Lists, Tally};
use crate::server::pages;

/// The next table with the state of each list, or why there is none.
pub(super) struct Assembled {
    pub(super) lists: Lists,
    pub(super) states: Vec<ListState>,
    /// The lists that are not as what has arrived for them says, and why.
    pub(super) refused: Vec<(String, String)>,
}

/// What is wanted of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// It is read also if its file looks as it did.
    pub(super) anew: bool,
    /// It may have far fewer names than before.
    pub(super) accepts_shorter: bool,
    /// It is read from here, and stays as it is if that cannot be used.
    pub(super) arrived: Option<PathBuf>,
}

/// A list with fewer names than one in so many of those before is kept as it was: it is probably cut short.
const SHRINKS_TO: u64 = 2;

/// `before` are the states of the lists in `old`; `wish` gives what is wanted of the list of a name.
pub(super) fn assemble(
    settings: &[ListSettings],
    before: &[ListState],
    old: &Lists,
    key: [u64; 2],
    state_folder: Option<&Path>,
    wish: &(dyn Fn(&str) -> Wish + Sync),
) -> Result<Assembled, String> {
    let place = |list: &ListSettings| {
        let same = |state: &ListState| state.is_loaded && state.settings.name() == list.name() && state.has_dialect_of(list);
        (0u8..).zip(before).find(|(_, state)| same(state)).map(|(at, state)| (ListId(at), state))
    };
    let begin = |list| Reading::begin(list, place(list), state_folder, wish(list.name()));
    let mut all: Vec<Reading<'_>> = settings.iter().map(begin).collect();
    // Whatever proves unusable while it is read is left as it was in another attempt: each costs one more, and so does its copy.
    for _ in 0..=2 * settings.len() {
        let names = settings.iter().map(|list| list.name().to_owned()).collect();
        let kept = all.iter().map(|reading| reading.old.map(|(list, _)| list).filter(|_| reading.source.is_none())).collect();
        let expected = all.iter().filter_map(|reading| reading.source.as_ref()).map(Source::expected_names).fold(0, usize::saturating_add);
        let mut builder = Builder::new(names, key, old, kept).expecting(expected).giving_back(pages::give_back_now);
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
            let refused = all.iter().filter_map(|reading| Some((reading.state.settings.name().to_owned(), reading.refused.clone()?)));
            let refused = refused.collect();
            return Ok(Assembled { lists, states: all.into_iter().map(|reading| reading.state).collect(), refused });
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
    /// The source is the copy of what its file once had, and why.
    instead: Option<String>,
    state_folder: Option<&'a Path>,
    wish: Wish,
    /// Why what has arrived is not used.
    refused: Option<String>,
    /// How many rules the source has, those that are there twice included.
    rules: u64,
}

impl<'a> Reading<'a> {
    fn begin(list: &ListSettings, old: Option<(ListId, &'a ListState)>, state_folder: Option<&'a Path>, wish: Wish) -> Reading<'a> {
        let before = old.map(|(_, state)| state.clone()).unwrap_or_default();
        let state = ListState { settings: list.clone(), ..before };
        let opened = match &wish.arrived {
            Some(path) => Source::arrived(path, list),
            None => Source::open(list, state_folder),
        };
        let mut reading = Reading { state, old, source: None, instead: None, state_folder, wish, refused: None, rules: 0 };
        match opened {
            Err(what) => {
                reading.state.seen = None;
                reading.refuse(what);
            }
            Ok(source) if !reading.is_wanted() && old.is_some() && reading.state.seen == Some(source.stamp) => {}
            Ok(source) => {
                reading.state.seen = Some(source.stamp);
                reading.source = Some(source);
            }
        }
        reading
    }

    fn is_wanted(&self) -> bool {
        self.wish.anew || self.wish.arrived.is_some()
    }

    /// It stays as it was.
    fn refuse(&mut self, what: String) {
        if self.wish.arrived.is_some() {
            let (list, wish) = (self.state.settings.clone(), Wish::default());
            *self = Reading { refused: Some(what), ..Reading::begin(&list, self.old, self.state_folder, wish) };
            return;
        }
        self.source = None;
        // A copy that cannot be read either is the end.
        if self.old.is_none() && self.instead.is_none() {
            self.source = Source::kept(&self.state.settings, self.state_folder);
            self.instead = self.source.as_ref().map(|_| what.clone());
        }
        self.state.is_loaded = self.old.is_some();
        self.state.tally = self.old.map(|(_, state)| state.tally.clone()).unwrap_or_default();
        self.state.problem = Some(self.instead.clone().unwrap_or(what));
    }

    /// False if the source cannot be used.
    fn read(&mut self, list: ListId, builder: &mut Builder<'_>) -> bool {
        let Some(source) = &mut self.source else { return true };
        // Each round reads all of it.
        self.rules = 0;
        let read = source.read(&self.state.settings, &mut |rule| {
            self.rules += 1;
            builder.add(list, rule);
        });
        let is_list = |tally: &Tally| self.wish.arrived.is_none() || self.wish.accepts_shorter || tally.blocked + tally.exceptions > 0;
        match read {
            Ok(tally) if is_list(&tally) => {
                (self.state.tally, self.state.problem, self.state.is_loaded) = (tally, self.instead.clone(), true);
                self.state.is_from_copy = self.instead.is_some();
                true
            }
            Ok(tally) => {
                let name = self.state.settings.name();
                self.refuse(format!("no name is in its {} lines (`cairn list update {name} --accept` takes it over)", tally.lines));
                false
            }
            Err(what) => {
                self.refuse(what);
                false
            }
        }
    }

    fn is_long_enough(&mut self, names: u64, old: &Lists) -> bool {
        if self.source.is_none() || self.wish.accepts_shorter || self.instead.is_some() {
            return true;
        }
        // At a start no table has the names of before, and the copy has to be read for them.
        let (names, before) = match self.old {
            Some((list, _)) => (names, old.count(list)),
            None => (self.rules, self.rules_before().unwrap_or(0)),
        };
        let is_enough = names.saturating_mul(SHRINKS_TO) >= before;
        if !is_enough {
            let name = self.state.settings.name();
            self.refuse(format!(
                "its source has {names} names now, fewer than half of the {before} before (`cairn list update {name} --accept` takes it over)"
            ));
        }
        is_enough
    }

    /// How many rules the list's file had when it was copied, if it has changed since.
    fn rules_before(&self) -> Option<u64> {
        let settings = &self.state.settings;
        Source::kept_of_other(settings, self.state_folder, self.state.seen?)?.rule_count(settings)
    }
}
