//! How long each part of the way takes, and how the shared cache bears several threads: `cargo bench --bench timing`.
//!
//! Times are of this machine at this moment; for a verdict on a change use `benches/instructions/run --against HEAD`, which counts instructions.

#[path = "../parts/mod.rs"]
mod parts;

use std::sync::atomic::{AtomicUsize, Ordering};

use cairn::cache::{Cache, CacheLimits};
use cairn::env::Random;
use cairn::record::{Name, Rank, Security};
use divan::Bencher;
use divan::counter::ItemsCount;
use parts::{NOW, PARTS, four_addresses, name, plain_key, reply_of};

#[global_allocator]
static ALLOCATOR: cairn::Allocator = cairn::Allocator;

fn main() {
    divan::main();
}

#[divan::bench(args = PARTS.iter().map(|(name, _)| *name))]
fn part(bencher: Bencher, name: &str) {
    let (_, make_ready) = PARTS.iter().find(|(known, _)| *known == name).expect("a part that is listed");
    bencher.bench_local(make_ready());
}

const THREADS: [usize; 4] = [1, 2, 4, 8];
const NAMES: usize = 10_000;
/// Turns of each thread between two looks at the clock: some milliseconds, or the first would be through before the last
/// has been woken.
const TURNS: usize = 100_000;

/// Each thread looks up names of its own; this many in a thousand are stored again first.
fn shared(bencher: Bencher, stored_in_1000: usize, pick: fn(usize) -> usize) {
    let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
    let names: Vec<Name> = (0..NAMES).map(|number| name("www", number)).collect();
    let store = |owner: &Name| {
        let set = four_addresses(owner);
        cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, NOW);
        assert!(cache.answers().put(&plain_key(owner), &reply_of(&set), false, NOW));
    };
    names.iter().for_each(store);
    let start = AtomicUsize::new(0);
    bencher.counter(ItemsCount::new(TURNS)).bench(|| {
        let first = start.fetch_add(TURNS, Ordering::Relaxed);
        let mut slot = [0; 512];
        for turn in 0..TURNS {
            let owner = &names[pick(first + turn) % NAMES];
            if turn % 1_000 < stored_in_1000 {
                store(owner);
            }
            let hit = cache.answers().copy(&plain_key(owner), NOW, 512, &mut slot);
            // Another thread may be between storing the set and marking it ready.
            assert!(hit.is_some() || stored_in_1000 > 0);
        }
    });
}

/// A step through the names that leaves no pattern in the shards.
fn spread(turn: usize) -> usize {
    turn.wrapping_mul(7_919)
}

#[divan::bench(threads = THREADS, sample_count = 10, sample_size = 1)]
fn hits(bencher: Bencher) {
    shared(bencher, 0, spread);
}

/// As many misses as a busy resolver sees.
#[divan::bench(threads = THREADS, sample_count = 10, sample_size = 1)]
fn hits_and_stores(bencher: Bencher) {
    shared(bencher, 100, spread);
}

/// The worst there can be: everybody asks for one name, so for one lock and one entry.
#[divan::bench(threads = THREADS, sample_count = 10, sample_size = 1)]
fn hits_of_one_name(bencher: Bencher) {
    shared(bencher, 0, |_| 0);
}
