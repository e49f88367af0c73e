//! Worlds that nobody thought of: zones, servers, records and weather drawn from a seed, with questions to ask.
//!
//! Every zone has at least one server that answers well, and no chain of name servers without glue is deeper than two,
//! so a resolver has no excuse in fair weather.

use std::time::Duration;

use cairn::env::Random;
use cairn::record::Rcode;

use super::internet::{Forger, Link, Tcp};
use super::plan::{Lame, Server};
use super::world::World;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Weather {
    /// Nothing is lost, every server is well.
    Fair,
    /// Loss, disorder, duplicates, forgeries; one server of a zone may be dead, lame or old.
    Foul,
}

const TLDS: [&str; 4] = ["com.", "net.", "org.", "example."];
const LABELS: [&str; 12] = ["alpha", "beta", "gamma", "delta", "post", "shop", "x", "y1", "long-label-of-some-length", "z", "_tcp", "a"];
/// None of them a label of a zone: what a parent holds at or below a cut is not its to tell.
const HOSTS: [&str; 6] = ["www", "mail", "a.b.c", "*.wild", "ftp", "ent.empty"];

pub struct Drawn {
    pub world: World,
    pub questions: Vec<String>,
}

pub fn draw(seed: u64, zones: usize, weather: Weather) -> Drawn {
    let world = World::new(seed);
    let dice = Random::from_seed(world.seed ^ 0x5eed);
    let mut draft = Draft { dice, weather, zones: TLDS.map(str::to_owned).to_vec(), homes: Vec::new(), questions: Vec::new() };
    let mut world = TLDS.iter().fold(world, |world, tld| draft.server(world.zone(tld), &format!("ns1.nic.{tld}"), true));
    for _ in 0..zones {
        world = draft.zone(world);
    }
    draft.questions.sort();
    draft.questions.dedup();
    Drawn { world, questions: draft.questions }
}

struct Draft {
    dice: Random,
    weather: Weather,
    zones: Vec<String>,
    /// Zones whose servers' names lie in themselves: other zones' servers may be named there.
    homes: Vec<String>,
    questions: Vec<String>,
}

impl Draft {
    fn one_in(&self, count: usize) -> bool {
        self.dice.below(count) == 0
    }

    fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.dice.below(from.len())]
    }

    fn zone(&mut self, world: World) -> World {
        let parent = self.pick(&self.zones).clone();
        let apex = format!("{}.{}{parent}", self.pick(&LABELS), if self.one_in(4) { "ent." } else { "" });
        if self.zones.contains(&apex) || apex.split('.').count() > 8 {
            return world;
        }
        self.zones.push(apex.clone());
        let world = self.servers(world.zone(&apex), &apex);
        self.records(world.zone(&apex), &apex)
    }

    fn servers(&mut self, mut world: World, apex: &str) -> World {
        let count = 1 + self.dice.below(3);
        let abroad = !self.homes.is_empty() && self.one_in(3);
        let home = if abroad { self.pick(&self.homes).clone() } else { apex.to_owned() };
        for at in 0..count {
            world = self.server(world, &format!("ns{at}-{}.{home}", self.zones.len()), at == 0);
        }
        if !abroad {
            self.homes.push(apex.to_owned());
        }
        world
    }

    fn server(&self, world: World, name: &str, must_work: bool) -> World {
        let world = match self.dice.below(3) {
            0 => world.server(name).dual_stack(),
            _ => world.server(name),
        };
        let link = self.link(must_work);
        world.with(|server| {
            server.link = link;
            if self.weather == Weather::Foul && !must_work {
                self.misbehave(server);
            }
        })
    }

    fn link(&self, must_work: bool) -> Link {
        let delay = Duration::from_millis(1 + self.dice.below(120) as u64);
        let foul = self.weather == Weather::Foul;
        let forger = match self.dice.below(12) {
            0 if foul => Forger::GuessesId(1),
            1 if foul => Forger::OtherQuestion,
            _ => Forger::None,
        };
        let tcp = if foul && !must_work && self.one_in(5) { Tcp::Closed } else { Tcp::Open };
        let chance = |most: usize| if foul { self.dice.below(most) as f64 / 100.0 } else { 0.0 };
        let jitter = Duration::from_millis(if foul { self.dice.below(60) as u64 } else { 0 });
        Link { delay, jitter, loss: chance(8), duplicate: chance(10), closed: false, tcp, forger }
    }

    fn misbehave(&self, server: &mut Server) {
        let manner = &mut server.manner;
        match self.dice.below(12) {
            0 => manner.dead = true,
            1 => manner.lame = Some(*self.pick(&[Lame::Refuses, Lame::RefersUp, Lame::Empty])),
            2 => manner.fails = Some(*self.pick(&[Rcode::SERVFAIL, Rcode::REFUSED, Rcode::NOTIMP])),
            3 => manner.formerr_to_edns = true,
            4 => manner.lowers_case = true,
            5 => manner.truncates = true,
            6 => manner.minimal = true,
            7 => manner.drops_edns = true,
            _ => {}
        }
    }

    fn records(&mut self, mut world: World, apex: &str) -> World {
        for host in HOSTS {
            if self.one_in(3) {
                continue;
            }
            let owner = format!("{host}.{apex}");
            let ttl = *self.pick(&[1u32, 30, 300, 3600]);
            world = match self.dice.below(6) {
                0 => world.record(&format!("{owner} {ttl} CNAME {}", self.somewhere())),
                1 => world.record(&format!("{owner} {ttl} MX 10 {}", self.somewhere())),
                2 => world.record(&format!("{owner} {ttl} TXT {}", "x".repeat(1 + self.dice.below(250)))),
                _ => (0..1 + self.dice.below(4))
                    .fold(world, |world, n| world.record(&format!("{owner} {ttl} A 198.51.{}.{n}", self.zones.len()))),
            };
            self.questions.push(format!("{} {}", owner.replace('*', "any"), self.pick(&["A", "A", "MX", "TXT", "AAAA"])));
        }
        if self.one_in(6) {
            world = world.record(&format!("moved.{apex} 300 DNAME {}", self.pick(&self.zones)));
            self.questions.push(format!("www.moved.{apex} A"));
        }
        self.questions.push(format!("{apex} {}", self.pick(&["NS", "SOA", "DS", "A"])));
        self.questions.push(format!("{}.no.{apex} A", self.pick(&LABELS)));
        self.questions.push(format!("empty.{apex} A"));
        world
    }

    /// A name that an alias may lead to: mostly one that exists.
    fn somewhere(&self) -> String {
        format!("{}.{}", self.pick(&["www", "mail", "ftp", "a.b.c", "q.wild", "nowhere"]), self.pick(&self.zones))
    }
}
