//! Runs one part of the way a given number of times, so that `run` beside this file can count instructions: the count
//! of 2n turns less that of n turns, by n, is what one turn costs, whatever starting up costs.
//!
//! `instructions PART TURNS`; without arguments, the names of the parts.

#[path = "../parts/mod.rs"]
#[allow(dead_code, reason = "the other user of the parts needs more of them")]
mod parts;

use parts::PARTS;

#[global_allocator]
static ALLOCATOR: cairn::Allocator = cairn::Allocator;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let [part, turns] = &arguments[..] else {
        PARTS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, make_ready) = PARTS.iter().find(|(name, _)| name == part).expect("a part that is listed");
    let mut turn = make_ready();
    for _ in 0..turns.parse().expect("a number") {
        turn();
    }
}
