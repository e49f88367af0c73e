//! Stores the values of all workers and adds them up.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::families::{BUCKETS, Counter, Family, Gauge, HISTOGRAM_VALUES, Histogram, offsets};
use super::labels::{ClientFamily, ClientLimit, ExtendedError, Outcome, Over, PolicyAction, QueryType, Source, SpentBound};

const COUNTERS: ([usize; Counter::FAMILIES.len()], usize) = offsets(Counter::FAMILIES);
const GAUGES: ([usize; Gauge::FAMILIES.len()], usize) = offsets(Gauge::FAMILIES);
const HISTOGRAMS: ([usize; Histogram::FAMILIES.len()], usize) = offsets(Histogram::FAMILIES);
const GAUGES_AT: usize = COUNTERS.1;
const HISTOGRAMS_AT: usize = GAUGES_AT + GAUGES.1;
const VALUES: usize = HISTOGRAMS_AT + HISTOGRAMS.1 * HISTOGRAM_VALUES;
const AT_ONCE_AT: usize = COUNTERS.0[Counter::AtOnce as usize];

/// The values of one worker.
struct Values {
    all: [AtomicU64; VALUES],
    /// Of the answers given at once: how many are in the histogram already.
    timed: [AtomicU64; Source::COUNT],
    /// Microseconds of the last batch whose time was taken.
    batch_us: AtomicU64,
}

impl Values {
    fn new() -> Values {
        let timed = [const { AtomicU64::new(0) }; Source::COUNT];
        Values { all: [const { AtomicU64::new(0) }; VALUES], timed, batch_us: AtomicU64::new(0) }
    }

    /// The answers given at once since the last call, as the places and values of the histogram that they add to. Each took as
    /// long as the last batch whose time was taken.
    fn untimed(&self) -> impl Iterator<Item = (usize, [(usize, u64); 2])> {
        let us = self.batch_us.load(Ordering::Relaxed);
        (0..Source::COUNT).filter_map(move |source| {
            let count = self.all[AT_ONCE_AT + source].load(Ordering::Relaxed).wrapping_sub(self.timed[source].load(Ordering::Relaxed));
            let places = histogram_places(Histogram::Answer, source, us);
            (count > 0).then_some((source, [(places[0], count), (places[1], count.wrapping_mul(us))]))
        })
    }
}

/// Where a histogram counts this value, and its sum.
fn histogram_places(histogram: Histogram, label: usize, value: u64) -> [usize; 2] {
    let at = HISTOGRAMS_AT + (HISTOGRAMS.0[histogram as usize] + label) * HISTOGRAM_VALUES;
    [at + BUCKETS.partition_point(|bound| *bound < value), at + HISTOGRAM_VALUES - 1]
}

/// Counts for one worker; used by one thread. Clones write the same values.
#[derive(Clone)]
pub struct Recorder {
    values: Arc<Values>,
    /// The values have one writer: not `Send`.
    _one_thread: std::marker::PhantomData<std::rc::Rc<()>>,
}

/// The values of all workers.
#[derive(Default)]
pub struct Registry(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    recorders: Vec<Arc<Values>>,
    /// Sums of recorders that are gone.
    ended: Vec<u64>,
}

/// Whether a value only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Counter,
    Gauge,
}

/// Names of labels, each with its value.
pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// One value of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub labels: Labels,
    pub value: u64,
}

/// One histogram of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: Labels,
    /// For each bound, the number of values up to it; the last has no bound.
    pub buckets: Vec<(Option<u64>, u64)>,
    pub sum: u64,
}

impl Recorder {
    /// Adds `more` to a counter without labels.
    #[inline]
    pub fn add(&self, counter: Counter, more: usize) {
        if more > 0 {
            self.change(COUNTERS.0[counter as usize], more as u64);
        }
    }

    /// Adds one to a counter without labels.
    #[inline]
    pub fn count(&self, counter: Counter) {
        self.change(COUNTERS.0[counter as usize], 1);
    }

    /// Counts a client's query by transport, address family and type.
    #[inline]
    pub fn query(&self, over: Over, family: ClientFamily, query_type: QueryType) {
        let row = over as usize * ClientFamily::NAMES.len() + family as usize;
        self.change(COUNTERS.0[Counter::Queries as usize] + row * QueryType::NAMES.len() + query_type.index(), 1);
    }

    /// Counts an answer by its response code.
    #[inline]
    pub fn answer(&self, outcome: Outcome) {
        self.change(COUNTERS.0[Counter::Answers as usize] + outcome.index(), 1);
    }

    /// Counts an answer that was given without waiting.
    #[inline]
    pub fn at_once(&self, source: Source) {
        self.change(AT_ONCE_AT + source as usize, 1);
    }

    /// Counts that a limit towards clients was reached.
    pub fn limit_reached(&self, limit: ClientLimit) {
        self.change(COUNTERS.0[Counter::Limits as usize] + limit as usize, 1);
    }

    /// Counts what a rule of a response policy zone did.
    pub fn rewritten(&self, action: PolicyAction) {
        self.change(COUNTERS.0[Counter::PolicyRewrites as usize] + action as usize, 1);
    }

    /// Counts an answer with an extended error, or several (RFC 8914), once for each of them.
    pub fn extended_error(&self, error: ExtendedError) {
        self.change(COUNTERS.0[Counter::ExtendedErrors as usize] + error.index(), 1);
    }

    /// Counts a reply of a server over this transport, and how long it took.
    pub fn replied(&self, over: Over, rtt_us: u64) {
        let [bucket, sum] = histogram_places(Histogram::UpstreamRtt, over as usize, rtt_us);
        self.change(bucket, 1);
        self.change(sum, rtt_us);
    }

    /// Counts that a question failed at a bound on its work.
    pub fn spent(&self, bound: SpentBound) {
        self.change(COUNTERS.0[Counter::BudgetsSpent as usize] + bound as usize, 1);
    }

    /// Adds one.
    pub fn up(&self, gauge: Gauge) {
        self.change(GAUGES_AT + GAUGES.0[gauge as usize], 1);
    }

    /// Subtracts one.
    pub fn down(&self, gauge: Gauge) {
        self.change(GAUGES_AT + GAUGES.0[gauge as usize], u64::MAX);
    }

    /// Counts an answer that had to be looked up, and its time.
    pub fn took(&self, source: Source, us: u64) {
        let [bucket, sum] = histogram_places(Histogram::Answer, source as usize, us);
        self.change(bucket, 1);
        self.change(sum, us);
    }

    /// A batch of answers given at once took this long. Only some batches are timed, because reading the clock for each
    /// costs more than counting: the answers since the last one count with this time.
    pub fn batch_took(&self, us: u64) {
        self.values.batch_us.store(us, Ordering::Relaxed);
        for (source, places) in self.values.untimed() {
            for (at, more) in places {
                self.change(at, more);
            }
            let [(_, count), _] = places;
            add(&self.values.timed[source], count);
        }
    }

    #[cfg(test)]
    /// The value of a counter of this worker, summed over its labels.
    pub fn get(&self, counter: Counter) -> u64 {
        let at = COUNTERS.0[counter as usize];
        self.values.all[at..at + Counter::FAMILIES[counter as usize].len()].iter().map(|value| value.load(Ordering::Relaxed)).sum()
    }

    #[inline]
    fn change(&self, at: usize, more: u64) {
        if let Some(value) = self.values.all.get(at) {
            add(value, more);
        }
    }
}

/// There is one writer, so no locked instruction is needed.
#[inline]
fn add(value: &AtomicU64, more: u64) {
    value.store(value.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Registry {
    /// For one more worker.
    pub fn recorder(&self) -> Recorder {
        let values = Arc::new(Values::new());
        let mut kept = self.0.lock();
        kept.fold_ended();
        kept.recorders.push(Arc::clone(&values));
        Recorder { values, _one_thread: std::marker::PhantomData }
    }

    /// All values in the order of the table; for families with labels only the values that are not 0.
    pub fn rows(&self) -> Vec<Row> {
        let sums = self.0.lock().sums();
        let mut rows = Vec::new();
        let mut at = 0;
        let kinds = [(Kind::Counter, Counter::FAMILIES), (Kind::Gauge, Gauge::FAMILIES)];
        for (kind, family) in kinds.into_iter().flat_map(|(kind, families)| families.iter().map(move |family| (kind, family))) {
            let values = &sums[at..at + family.len()];
            at += family.len();
            let shown = values.iter().enumerate().filter(|(_, value)| family.labels.is_empty() || **value > 0);
            rows.extend(shown.map(|(index, value)| Row {
                name: family.name,
                help: family.help,
                kind,
                labels: labels_of(family, index),
                value: *value,
            }));
        }
        rows
    }

    /// The histograms, in the order of the table.
    pub fn histograms(&self) -> Vec<Distribution> {
        let sums = self.0.lock().sums();
        let mut rows = sums[HISTOGRAMS_AT..].chunks_exact(HISTOGRAM_VALUES);
        let mut all = Vec::new();
        for family in Histogram::FAMILIES {
            for (index, values) in rows.by_ref().take(family.len()).enumerate() {
                let bounds = BUCKETS.iter().copied().map(Some).chain([None]);
                let mut count = 0;
                let cumulative = bounds.zip(values).map(|(bound, value)| {
                    count += value;
                    (bound, count)
                });
                all.push(Distribution {
                    name: family.name,
                    help: family.help,
                    labels: labels_of(family, index),
                    buckets: cumulative.collect(),
                    sum: values[HISTOGRAM_VALUES - 1],
                });
            }
        }
        all
    }
}

impl Kept {
    fn sums(&self) -> Vec<u64> {
        let mut sums = if self.ended.is_empty() { vec![0; VALUES] } else { self.ended.clone() };
        self.recorders.iter().for_each(|values| add_to(&mut sums, values));
        sums
    }

    /// Keeps the sums of ended workers, and frees their values.
    fn fold_ended(&mut self) {
        self.ended.resize(VALUES, 0);
        let ended = &mut self.ended;
        self.recorders.retain(|values| {
            let is_used = Arc::strong_count(values) > 1;
            if !is_used {
                add_to(ended, values);
            }
            is_used
        });
    }
}

fn add_to(sums: &mut [u64], values: &Values) {
    for (sum, value) in sums.iter_mut().zip(&values.all) {
        *sum = sum.wrapping_add(value.load(Ordering::Relaxed));
    }
    for (at, more) in values.untimed().flat_map(|(_, places)| places) {
        if let Some(sum) = sums.get_mut(at) {
            *sum = sum.wrapping_add(more);
        }
    }
}

/// The last label changes fastest.
fn labels_of(family: &Family, mut index: usize) -> Labels {
    let mut labels: Vec<_> = family
        .labels
        .iter()
        .rev()
        .map(|(name, values)| {
            let value = values[index % values.len()];
            index /= values.len();
            (*name, Cow::Borrowed(value))
        })
        .collect();
    labels.reverse();
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::record::EdeCode;

    fn value(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> u64 {
        let is_it = |row: &&Row| row.labels.iter().map(|(name, value)| (*name, &**value)).eq(labels.iter().copied());
        registry.rows().iter().filter(|row| row.name == name).filter(is_it).map(|row| row.value).sum()
    }

    #[test]
    fn workers_are_added_up_and_stay_when_they_end() {
        let registry = Registry::default();
        let (one, other) = (registry.recorder(), registry.recorder());
        let (v4, v6) = (ClientFamily::of([192, 0, 2, 1].into()), ClientFamily::of([0; 16].into()));
        one.query(Over::Udp, v4, QueryType::of(28));
        other.query(Over::Udp, v4, QueryType::of(28));
        other.query(Over::Tcp, v6, QueryType::of(28));
        other.query(Over::Udp, v6, QueryType::of(12_345));
        other.answer(Outcome::of(3));
        other.answer(Outcome::of(23));
        other.limit_reached(ClientLimit::ConnectionsPerClient);
        other.spent(SpentBound::Time);
        one.up(Gauge::ConnectionsOpen);
        one.up(Gauge::ConnectionsOpen);
        other.down(Gauge::ConnectionsOpen);
        drop(one);
        for _ in 0..3 {
            let passing = registry.recorder();
            passing.add(Counter::Walks, 2);
        }
        let queries = |transport, family, query_type| {
            value(&registry, "queries", &[("transport", transport), ("family", family), ("type", query_type)])
        };
        assert_eq!(queries("udp", "ipv4", "AAAA"), 2);
        assert_eq!(queries("tcp", "ipv6", "AAAA"), 1);
        assert_eq!(queries("udp", "ipv6", "other"), 1);
        assert_eq!(value(&registry, "answers", &[("rcode", "NXDOMAIN")]), 1);
        assert_eq!(value(&registry, "answers", &[("rcode", "other")]), 1);
        assert_eq!(value(&registry, "limits-reached", &[("limit", "connections-per-client")]), 1);
        assert_eq!(value(&registry, "budgets-spent", &[("bound", "time")]), 1);
        assert_eq!(value(&registry, "connections-open", &[]), 1);
        assert_eq!(value(&registry, "walks", &[]), 6);
        assert_eq!((other.get(Counter::Queries), other.get(Counter::Walks)), (3, 0));
        assert!(registry.0.lock().recorders.len() <= 2);
    }

    #[test]
    fn a_histogram_counts_up_to_its_bounds() {
        let registry = Registry::default();
        let recorder = registry.recorder();
        [0, 50, 51, 100, 10_000_000, 10_000_001].iter().for_each(|us| recorder.took(Source::Walk, *us));
        let Distribution { name, labels, buckets, sum, .. } = registry.histograms().remove(Source::Walk as usize);
        let at_most = |bound| buckets.iter().find(|(upper, _)| *upper == bound).map(|(_, count)| *count);
        assert_eq!((name, labels, sum), ("answer-us", vec![("source", Cow::Borrowed("walk"))], 20_000_202));
        assert_eq!([Some(50), Some(100), Some(10_000_000), None].map(at_most), [2, 4, 5, 6].map(Some));
    }

    /// Every answer that is given at once is in the histogram, though only some batches are timed.
    #[test]
    fn answers_of_batches_that_were_not_timed_are_counted() {
        let registry = Registry::default();
        let count = |source: Source| {
            let Distribution { buckets, sum, .. } = registry.histograms().remove(source as usize);
            (buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>(), sum)
        };
        let recorder = registry.recorder();
        recorder.at_once(Source::Cache);
        assert_eq!(count(Source::Cache).0.last(), Some(&1));
        recorder.at_once(Source::Zone);
        recorder.at_once(Source::Cache);
        recorder.batch_took(120);
        recorder.at_once(Source::Cache);
        let (buckets, sum) = count(Source::Cache);
        assert_eq!((&buckets[..4], sum), (&[0, 0, 3, 3][..], 360));
        recorder.batch_took(40);
        let (buckets, sum) = count(Source::Cache);
        assert_eq!((&buckets[..4], sum), (&[1, 1, 3, 3][..], 280), "the last one with the time of its own batch");
        assert_eq!(count(Source::Zone), (buckets.iter().enumerate().map(|(at, _)| u64::from(at >= 2)).collect(), 120));
        drop(recorder);
        let _next = registry.recorder();
        assert_eq!(count(Source::Cache).1, 280, "as long as the server runs");
    }

    #[test]
    fn names_are_told_apart_and_every_value_has_its_place() {
        let families = || Counter::FAMILIES.iter().chain(Gauge::FAMILIES).chain(Histogram::FAMILIES);
        let names: HashSet<_> = families().map(|family| family.name).collect();
        assert_eq!(names.len(), families().count());
        for number in 0..=u16::MAX {
            assert!(QueryType::of(number).index() < QueryType::NAMES.len() && Outcome::of(number).index() < Outcome::NAMES.len());
        }
        for code in 0..=u16::MAX {
            let (label, meaning) = (ExtendedError::NAMES[ExtendedError::of(code).index()], EdeCode(code).meaning());
            assert!(meaning == "unassigned code" || label == meaning.to_lowercase().replace(' ', "-"), "{code}: {label}, {meaning}");
        }
        assert_eq!((QueryType::of(65).index(), QueryType::NAMES[15]), (15, "HTTPS"));
        assert_eq!((QueryType::of(257).index(), QueryType::NAMES[17]), (17, "CAA"));
    }
}
