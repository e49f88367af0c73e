//! Worlds that nobody thought of: zones, servers, records and weather drawn from a seed, with questions to ask.
//!
//! Every zone has at least one server that answers well, and no chain of name servers without glue is deeper than two,
//! so a resolver has no excuse in fair weather. `change` is what happens to such a world while it runs.

use std::time::Duration;

use cairn::env::Random;
use cairn::record::{Name, Rcode};

use super::internet::{Forger, Link, Tcp};
use super::plan::{Lame, Server};
use super::world::{World, name};

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
/// Every lie leads to this address: no server is there, and no honest reply has it.
pub const SNARE: &str = "203.0.113.66";

pub struct Drawn {
    pub world: World,
    pub questions: Vec<String>,
    /// Those that no resolver has to get to the end of.
    pub endless: Vec<String>,
    /// Those that lead in a circle of delegations, one for each zone of it.
    pub ring: Vec<String>,
}

pub fn draw(seed: u64, zones: usize, weather: Weather) -> Drawn {
    let world = World::new(seed);
    let dice = Random::from_seed(world.seed ^ 0x5eed);
    let zones_known = TLDS.map(str::to_owned).to_vec();
    let signed = is_signed(seed);
    let secure = if signed { zones_known.clone() } else { Vec::new() };
    let mut draft = Draft { dice, weather, signed, zones: zones_known, secure, homes: Vec::new(), questions: Vec::new() };
    let mut world = TLDS.iter().fold(draft.resolver(world), |world, tld| {
        let world = world.zone(tld).ttl(*draft.pick(&[300, 3600, 86_400]));
        let world = draft.server(if signed { world.signed() } else { world }, &format!("ns1.nic.{tld}"), true);
        draft.server(world, &format!("ns2.nic.{tld}"), false)
    });
    while draft.zones.len() < TLDS.len() + zones {
        world = draft.zone(world);
    }
    let mut endless = Vec::new();
    world = draft.costly(world, &mut endless);
    let (world, ring) = draft.ring(world);
    draft.questions.sort();
    draft.questions.dedup();
    Drawn { world, questions: draft.questions, endless, ring }
}

/// Is the root of this world signed, and trusted?
pub fn is_signed(seed: u64) -> bool {
    seed.is_multiple_of(3)
}

struct Draft {
    dice: Random,
    weather: Weather,
    /// So are the root and the TLDs, and most zones below them.
    signed: bool,
    zones: Vec<String>,
    /// Those of them that are signed from the root down.
    secure: Vec<String>,
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

    fn resolver(&self, world: World) -> World {
        let prefetch = self.one_in(2);
        let world = world.workers(1 + self.dice.below(3)).tune(move |settings| settings.cache.prefetch = prefetch);
        let world = if self.one_in(2) { world.sibling_glue() } else { world };
        let world = if self.signed { world.anchored() } else { world };
        if self.one_in(3) { world.listening() } else { world }
    }

    fn zone(&mut self, world: World) -> World {
        let parent = self.pick(&self.zones).clone();
        let apex = format!("{}.{}{parent}", self.pick(&LABELS), if self.one_in(4) { "ent." } else { "" });
        if self.zones.contains(&apex) || apex.split('.').count() > 8 {
            return world;
        }
        let world = world.zone(&apex).ttl(*self.pick(&[5, 60, 300, 3600, 86_400]));
        let signed = self.signed && !self.one_in(3);
        if signed && self.secure.contains(&parent) {
            self.secure.push(apex.clone());
        }
        let (world, denies_empty_names) = self.servers(if signed { world.signed() } else { world }, &apex, signed);
        self.zones.push(apex.clone());
        let minimum = self.pick(&[5, 60, 300]);
        let world = world.zone(&apex).record(&format!("{apex} 300 SOA {apex} {apex} 1 3600 600 86400 {minimum}"));
        if !denies_empty_names {
            self.questions.push(format!("empty.{apex} A"));
        }
        self.records(world, &apex)
    }

    /// Also whether one of them says that names do not exist which only stand above others.
    fn servers(&mut self, mut world: World, apex: &str, signed: bool) -> (World, bool) {
        let count = 1 + self.dice.below(3);
        let abroad = !self.homes.is_empty() && self.one_in(3);
        let home = if abroad { self.pick(&self.homes).clone() } else { apex.to_owned() };
        for at in 0..count {
            let name = format!("ns{at}-{}.{home}", self.zones.len());
            if self.one_in(3) {
                self.questions.push(format!("{name} A"));
            }
            world = self.server(world, &name, at == 0);
            if self.weather == Weather::Foul && self.one_in(8) {
                world = self.lies(world, apex);
            }
            if self.secure.iter().any(|zone| zone == apex) && at > 0 && self.weather == Weather::Foul && self.one_in(5) {
                let strips = self.one_in(2);
                world = world.manner(|manner| (manner.forges, manner.strips) = (!strips, strips));
            }
        }
        if !abroad {
            self.homes.push(apex.to_owned());
        }
        // In a signed zone that would be bogus: its own NSEC records say otherwise.
        let denies_empty_names = !signed && self.weather == Weather::Foul && self.one_in(10);
        (world.manner(|manner| manner.denies_empty_names = denies_empty_names), denies_empty_names)
    }

    /// The server adds records of other zones to every answer.
    fn lies(&self, world: World, apex: &str) -> World {
        let is_own = |victim: &str| victim == apex || victim.ends_with(&format!(".{apex}"));
        let victims: Vec<&String> = self.zones.iter().filter(|zone| !is_own(zone)).collect();
        let (host, victim, zone) = (self.pick(&["www", "mail", "ftp"]), self.pick(&victims), self.pick(&victims));
        let world = world
            .slips_in(&format!("{host}.{victim} 86400 A {SNARE}"))
            .slips_in(&format!("{zone} 86400 NS ns.snare."))
            .slips_in(&format!("{zone} 86400 SOA ns.snare. . 1 1 1 1 86400"))
            .slips_in(&format!("ns.snare. 86400 A {SNARE}"));
        world.manner(|manner| manner.lies_in_answers = self.one_in(2))
    }

    /// Names that cost a resolver without bounds more than any answer is worth.
    fn costly(&mut self, mut world: World, endless: &mut Vec<String>) -> World {
        let (tld, victim) = (self.pick(&TLDS), self.pick(&self.zones));
        world = world.zone(tld);
        for n in 0..20 {
            world = world.record(&format!("many-servers.{tld} NS no{n}.{victim}"));
            world = world.record(&format!("t{n}.{tld} NS a.t{}.{tld}", n + 1)).record(&format!("t{n}.{tld} NS b.t{}.{tld}", n + 1));
            world = world.record(&format!("link{n}.{tld} CNAME link{}.{tld}", n + 1));
        }
        for (level, at, to) in (0..8).flat_map(|level| (0..10).flat_map(move |at| (0..4).map(move |to| (level, at, to)))) {
            let to = (3 * at + to) % 10;
            world = world.record(&format!("wide{level}-{at}.{tld} NS ns.wide{}-{to}.{tld}", level + 1));
        }
        let names = ["www.many-servers", "www.t0", "link0", "link12", "www.wide0-0"];
        endless.extend(names.map(|name| format!("{name}.{tld} A")));
        world
    }

    /// Zones each of which needs the next one, and the last one the first.
    fn ring(&mut self, mut world: World) -> (World, Vec<String>) {
        let apexes: Vec<String> = (0..2 + self.dice.below(3)).map(|n| format!("ring{n}.{}", self.pick(&TLDS))).collect();
        for (apex, next) in apexes.iter().zip(apexes.iter().cycle().skip(1)) {
            let tld = TLDS.iter().find(|tld| apex.ends_with(&format!(".{tld}"))).expect("made of one");
            world = world.zone(tld).record(&format!("{apex} NS ns0.{next}"));
            if self.one_in(2) {
                world = world.record(&format!("{apex} NS ns1.{next}"));
            }
        }
        (world, apexes.iter().map(|apex| format!("www.{apex} A")).collect())
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
            0 if foul => Forger::GuessesId(1 + self.dice.below(4) as u32),
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
        self.questions.push(format!("{apex} {}", self.pick(&["NS", "NS", "SOA", "DS", "A"])));
        self.questions.push(format!("{}.no.{apex} A", self.pick(&LABELS)));
        world
    }

    /// A name that an alias may lead to: mostly one that exists.
    fn somewhere(&self) -> String {
        format!("{}.{}", self.pick(&["www", "mail", "ftp", "a.b.c", "q.wild", "nowhere"]), self.pick(&self.zones))
    }
}

/// Something happens to this world, preferably to a zone that has been asked about (`asked`). Returns the zone and the
/// change, for the report of a failure.
pub fn change(world: &mut World, dice: &Random, asked: &[String]) -> (Name, String) {
    let serial = dice.below(1 << 20);
    let what = dice.below(8);
    let known = dice.below(asked.len().max(1));
    let known = asked.get(known).and_then(|question| question.split(' ').next()).map_or(Name::root(), name);
    world.change(|plan, history| {
        let zones = if what == 0 { plan.without_dependents() } else { plan.with_own_servers() };
        let apex = zones.iter().find(|zone| known.is_within(zone)).or(zones.get(dice.below(zones.len().max(1))));
        let apex = apex.cloned().expect("some zone has servers of its own");
        let word = match what {
            0 => {
                let ttl = plan.revoke(&apex);
                history.note_move(&apex, ttl);
                format!("{apex} is revoked")
            }
            1 | 2 => {
                let old = plan.server_names(&apex);
                let to: Vec<Name> = (0..1 + dice.below(2)).map(|n| name(&format!("new{n}-{serial}.{apex}"))).collect();
                let ttl = plan.move_zone(&apex, &to);
                history.note_move(&apex, ttl);
                // The new holder changes something; the old servers may be gone, or not know the zone any more.
                plan.edit(&apex, [198, 51, 100, serial as u8]);
                let fate = dice.below(3);
                for old in old {
                    let manner = &mut plan.server(&old).manner;
                    manner.dead |= fate == 1;
                    manner.lame = manner.lame.or((fate == 2).then_some(Lame::Refuses));
                }
                format!("{apex} moves to {to:?}; the old servers {}", ["stay", "are gone", "refuse"][fate])
            }
            3 | 4 => {
                let servers = plan.server_names(&apex);
                let server = servers[dice.below(servers.len())].clone();
                plan.renumber(&server);
                format!("{server} has new addresses")
            }
            _ => {
                plan.edit(&apex, [198, 51, 100, serial as u8]);
                format!("a host of {apex} has another address")
            }
        };
        (apex, word)
    })
}
