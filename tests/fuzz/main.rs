//! The fuzz targets as plain tests: each over seeds, whole and damaged, from a fixed seed.
//!
//! `CAIRN_FUZZ_RUNS=1000000 cargo test --release --test fuzz` goes on for so many. With cargo-fuzz and a nightly compiler, coverage
//! guides the damage: `cargo +nightly fuzz run --fuzz-dir tests/fuzz/libfuzzer walk`.

mod seeds;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cairn::env::Random;
use seeds::{damaged, seeds_of};
use targets::TARGETS;

/// Where no other count is set.
const RUNS: usize = 300;

fn throw_at(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let most = std::env::var("CAIRN_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS);
    let (seeds, random) = (seeds_of(target), Random::from_seed(most as u64));
    for runs in 0..most {
        let seed = &seeds[runs % seeds.len()];
        let data = if runs < seeds.len() { seed.clone() } else { damaged(seed, &seeds, &random) };
        if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            let hex: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
            panic!("{target} fails for {hex}");
        }
    }
    println!("{target}: {most} runs");
}

#[test]
fn message() {
    throw_at("message");
}

#[test]
fn name() {
    throw_at("name");
}

#[test]
fn master_file() {
    throw_at("master_file");
}

#[test]
fn list() {
    throw_at("list");
}

#[test]
fn url() {
    throw_at("url");
}

#[test]
fn proxy_header() {
    throw_at("proxy_header");
}

#[test]
fn policy() {
    throw_at("policy");
}

#[test]
fn proof() {
    throw_at("proof");
}

#[test]
fn patching() {
    throw_at("patching");
}

#[test]
fn walk() {
    throw_at("walk");
}
