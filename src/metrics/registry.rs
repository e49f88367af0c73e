//! Stores the values of all workers and adds them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::families::{BUCKETS, Counter, Family, Gauge, HISTOGRAM_VALUES, Histogram, offsets};
use super::labels::{Outcome, Over, QueryType};

const COUNTERS: ([usize; Counter::FAMILIES.len()], usize) = offsets(Counter::FAMILIES);
const GAUGES: ([usize; Gauge::FAMILIES.len()], usize) = offsets(Gauge::FAMILIES);
const HISTOGRAMS: usize = Histogram::FAMILIES.len() * HISTOGRAM_VALUES;
const GAUGES_AT: usize = COUNTERS.1;
const HISTOGRAMS_AT: usize = GAUGES_AT + GAUGES.1;
const VALUES: usize = HISTOGRAMS_AT + HISTOGRAMS;

/// The values of one worker.
struct Values([AtomicU64; VALUES]);

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

/// One value of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: Vec<(&'static str, &'static str)>,
    pub value: u64,
}

/// One histogram of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Distribution {
    pub name: &'static str,
    pub help: &'static str,
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

    /// Counts a client's query by transport and type.
    #[inline]
    pub fn query(&self, over: Over, query_type: QueryType) {
        self.change(COUNTERS.0[Counter::Queries as usize] + over as usize * QueryType::NAMES.len() + query_type.index(), 1);
    }

    /// Counts a reply by its response code.
    #[inline]
    pub fn reply(&self, outcome: Outcome) {
        self.change(COUNTERS.0[Counter::Replies as usize] + outcome.index(), 1);
    }

    /// Adds one.
    pub fn up(&self, gauge: Gauge) {
        self.change(GAUGES_AT + GAUGES.0[gauge as usize], 1);
    }

    /// Subtracts one.
    pub fn down(&self, gauge: Gauge) {
        self.change(GAUGES_AT + GAUGES.0[gauge as usize], u64::MAX);
    }

    /// Counts one value.
    pub fn observe(&self, histogram: Histogram, value: u64) {
        let at = HISTOGRAMS_AT + histogram as usize * HISTOGRAM_VALUES;
        self.change(at + BUCKETS.partition_point(|bound| *bound < value), 1);
        self.change(at + HISTOGRAM_VALUES - 1, value);
    }

    #[cfg(test)]
    /// The value of a counter of this worker, summed over its labels.
    pub fn get(&self, counter: Counter) -> u64 {
        let at = COUNTERS.0[counter as usize];
        self.values.0[at..at + Counter::FAMILIES[counter as usize].len()].iter().map(|value| value.load(Ordering::Relaxed)).sum()
    }

    #[inline]
    fn change(&self, at: usize, more: u64) {
        if let Some(value) = self.values.0.get(at) {
            // There is one writer, so no locked instruction is needed.
            value.store(value.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        }
    }
}

impl Registry {
    /// For one more worker.
    pub fn recorder(&self) -> Recorder {
        let values = Arc::new(Values([const { AtomicU64::new(0) }; VALUES]));
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
        for family in Counter::FAMILIES.iter().chain(Gauge::FAMILIES) {
            let values = &sums[at..at + family.len()];
            at += family.len();
            let shown = values.iter().enumerate().filter(|(_, value)| family.labels.is_empty() || **value > 0);
            rows.extend(shown.map(|(index, value)| Row {
                name: family.name,
                help: family.help,
                labels: labels_of(family, index),
                value: *value,
            }));
        }
        rows
    }

    /// The histograms, in the order of the table.
    pub fn histograms(&self) -> Vec<Distribution> {
        let sums = self.0.lock().sums();
        let values = sums[HISTOGRAMS_AT..].chunks_exact(HISTOGRAM_VALUES);
        let one = |(family, values): (&Family, &[u64])| {
            let bounds = BUCKETS.iter().copied().map(Some).chain([None]);
            let mut count = 0;
            let cumulative = bounds.zip(values).map(|(bound, value)| {
                count += value;
                (bound, count)
            });
            Distribution { name: family.name, help: family.help, buckets: cumulative.collect(), sum: values[HISTOGRAM_VALUES - 1] }
        };
        Histogram::FAMILIES.iter().zip(values).map(one).collect()
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
    for (sum, value) in sums.iter_mut().zip(&values.0) {
        *sum = sum.wrapping_add(value.load(Ordering::Relaxed));
    }
}

/// The last label changes fastest.
fn labels_of(family: &Family, mut index: usize) -> Vec<(&'static str, &'static str)> {
    let mut labels: Vec<_> = family
        .labels
        .iter()
        .rev()
        .map(|(name, values)| {
            let value = values[index % values.len()];
            index /= values.len();
            (*name, value)
        })
        .collect();
    labels.reverse();
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn value(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> u64 {
        registry.rows().iter().filter(|row| row.name == name && row.labels == labels).map(|row| row.value).sum()
    }

    #[test]
    fn workers_are_added_up_and_stay_when_they_end() {
        let registry = Registry::default();
        let (one, other) = (registry.recorder(), registry.recorder());
        one.query(Over::Udp, QueryType::of(28));
        other.query(Over::Udp, QueryType::of(28));
        other.query(Over::Tcp, QueryType::of(28));
        other.query(Over::Udp, QueryType::of(12_345));
        other.reply(Outcome::of(3));
        other.reply(Outcome::of(23));
        one.up(Gauge::ConnectionsOpen);
        one.up(Gauge::ConnectionsOpen);
        other.down(Gauge::ConnectionsOpen);
        drop(one);
        for _ in 0..3 {
            let passing = registry.recorder();
            passing.add(Counter::Walks, 2);
        }
        assert_eq!(value(&registry, "queries", &[("over", "udp"), ("type", "AAAA")]), 2);
        assert_eq!(value(&registry, "queries", &[("over", "tcp"), ("type", "AAAA")]), 1);
        assert_eq!(value(&registry, "queries", &[("over", "udp"), ("type", "other")]), 1);
        assert_eq!(value(&registry, "replies", &[("rcode", "NXDOMAIN")]), 1);
        assert_eq!(value(&registry, "replies", &[("rcode", "other")]), 1);
        assert_eq!(value(&registry, "connections-open", &[]), 1);
        assert_eq!(value(&registry, "walks", &[]), 6);
        assert_eq!((other.get(Counter::Queries), other.get(Counter::Walks)), (3, 0));
        assert!(registry.0.lock().recorders.len() <= 2);
    }

    #[test]
    fn a_histogram_counts_up_to_its_bounds() {
        let registry = Registry::default();
        let recorder = registry.recorder();
        [0, 1, 2, 3, 100, 1_000_000].iter().for_each(|value| recorder.observe(Histogram::Wait, *value));
        let Distribution { name, buckets, sum, .. } = registry.histograms().remove(0);
        let at_most = |bound| buckets.iter().find(|(upper, _)| *upper == bound).map(|(_, count)| *count);
        assert_eq!((name, sum), ("wait-ms", 1_000_106));
        assert_eq!([Some(1), Some(2), Some(64), Some(128), Some(8_192), None].map(at_most), [2, 3, 4, 5, 5, 6].map(Some));
    }

    #[test]
    fn names_are_told_apart_and_every_value_has_its_place() {
        let families = || Counter::FAMILIES.iter().chain(Gauge::FAMILIES).chain(Histogram::FAMILIES);
        let names: HashSet<_> = families().map(|family| family.name).collect();
        assert_eq!(names.len(), families().count());
        for number in 0..=u16::MAX {
            assert!(QueryType::of(number).index() < QueryType::NAMES.len() && Outcome::of(number).index() < Outcome::NAMES.len());
        }
        assert_eq!((QueryType::of(65).index(), QueryType::NAMES[15]), (15, "HTTPS"));
        assert_eq!((QueryType::of(257).index(), QueryType::NAMES[17]), (17, "CAA"));
    }
}
