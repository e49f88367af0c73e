//! What the cache really takes from the system, with the allocator of the server. Slow, so only on request, and each
//! in a process of its own, since memory that one has freed is there for the next:
//! `cargo test --release --test cache_memory -- --ignored --nocapture full` and the same with `names`.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cairn::cache::{AnswerKey, Cache, CacheLimits};
use cairn::env::{BootTime, Random};
use cairn::record::{Class, Name, Question, Rank, RrSet, Rtype, Security};
use cairn::wire::{Flags, Header, Section, Writer};

#[global_allocator]
static ALLOCATOR: cairn::Allocator = cairn::Allocator;

const MIB: usize = 1 << 20;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}

fn put_plain_answer(cache: &Cache, owner: Name, last: u32, now: BootTime) {
    let set = RrSet::with(owner, Rtype::A, 3600, &last.to_be_bytes());
    cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, now);
    let mut writer = Writer::new(Vec::new(), 1232);
    writer.header(Header { id: 0, flags: Flags(Flags::QR), counts: [0; 4] });
    writer.question(&Question::new(set.name.clone(), Rtype::A)).expect("room");
    writer.record(Section::Answer, &set.name, Rtype::A, Class::IN, 3600, &last.to_be_bytes()).expect("room");
    let key = AnswerKey { qname: set.name.as_wire(), qtype: Rtype::A, dnssec_ok: false, group: 0, generation: 1 };
    assert!(cache.answers().put(&key, &writer.finish(), false, now));
}

#[test]
#[ignore = "measures the process it runs in"]
fn full_caches_hold_what_was_promised() {
    let base = resident();
    // What one part has freed is used again by the next, so none may need less than those before.
    for size in [16, 64, 256] {
        a_full_cache(base, size * MIB);
    }
}

#[test]
#[ignore = "measures the process it runs in"]
fn plain_names_are_small() {
    let base = resident();
    let cache = Cache::new(CacheLimits { bytes: 1024 * MIB, ..CacheLimits::default() }, &Random::from_seed(1));
    for count in [300_000u32, 1_000_000] {
        for n in 0..count {
            put_plain_answer(&cache, Name::parse(&format!("www.n{n:07}.example.com.")).expect("name"), n, BootTime(1_000_000));
        }
        let (grown, stats) = (resident().saturating_sub(base), cache.stats());
        println!("{count} names: {} B of RSS a name, {} B counted", grown / count as usize, stats.bytes / count as usize);
        assert_eq!((stats.sets, stats.answers), (count as usize, 0));
        assert!(grown / count as usize <= 110);
    }
}

fn a_full_cache(base: usize, size: usize) {
    let cache = Cache::new(CacheLimits { bytes: size, ..CacheLimits::default() }, &Random::from_seed(1));
    let phases = [("small", 12, 1), ("mixed", 60, 8), ("large", 60, 60), ("small", 12, 1), ("large", 60, 60), ("small", 12, 1)];
    let (all_done, measured, most) = (Barrier::new(2), Barrier::new(2), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (cache, all_done, measured, most) = (&cache, &all_done, &measured, &most);
            scope.spawn(move || {
                for (phase, (title, name_max, records_max)) in phases.into_iter().enumerate() {
                    fill(cache, phase as u64 * 2 + worker, size, name_max, records_max);
                    if all_done.wait().is_leader() {
                        let (grown, stats) = (resident().saturating_sub(base), cache.stats());
                        println!(
                            "{} MiB, {title}: {} MiB of RSS, {} MiB counted, {} sets",
                            size / MIB,
                            grown / MIB,
                            stats.bytes / MIB,
                            stats.sets
                        );
                        most.fetch_max(grown.max(stats.bytes), Ordering::Relaxed);
                    }
                    measured.wait();
                }
            });
        }
    });
    assert!(most.into_inner() <= size + 32 * MIB);
}

/// Puts about the cache's size of sets, so that two workers fill it twice.
fn fill(cache: &Cache, seed: u64, size: usize, name_max: usize, records_max: usize) {
    let random = Random::from_seed(seed);
    let mut now = BootTime(1_000_000);
    let mut written = 0;
    while written < size {
        let label = "x".repeat(1 + random.below(name_max));
        let owner = Name::parse(&format!("{:08x}.{label}.test.", random.u32())).expect("name");
        let mut set = RrSet::new(owner, Rtype::TXT, 3600);
        for n in 0..1 + random.below(records_max) {
            set.data.push(&vec![n as u8; 4 + random.below(60)]);
        }
        cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, now);
        written += 120 + set.data.bytes() + set.name.as_wire().len();
        now = now + Duration::from_millis(1);
    }
}
