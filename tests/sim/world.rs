//! A world in a few lines, and asking it.
//!
//! ```ignore
//! let mut world = World::new(1).zone("example.").record("www.example. A 192.0.2.1");
//! assert!(world.ask("www.example. A").is("192.0.2.1"));
//! ```
//!
//! `zone` and `server` choose what the following calls are about. Root, TLDs, name servers, SOA and delegations are
//! made up where they are not given. The same calls change a running world. When a test fails the seed is printed
//! with every query that was sent; `CAIRN_SEED` sets it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cairn::answer::{Client, Explain, Explained, Transport};
use cairn::config::{Settings, TranslationPrefix};
use cairn::env::Clock;
use cairn::limits::Limits;
use cairn::record::{Name, Question, Rcode, Rtype};
use cairn::resolve::{Shared, Step};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

pub use super::answer::Answer;
use super::clients::Doors;
use super::clock::SimClock;
use super::engine::{Engine, Start};
use super::expected::Expected;
use super::history::History;
use super::internet::{Arrival, Behind, Forger, Internet, Link, Seen, Tcp};
use super::packet::{AD, CD, Edns, Packet, RD};
use super::plan::{Lame, Manner, Plan, Rewrite, Server};
use super::record::Rr;
use super::signing::{self, Key};
use super::zone::Zone;

/// A client that has no reply after this time counts as not answered.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longer waits are mostly a jump of the clock, as in suspend.
const REALLY_WAITED: Duration = Duration::from_secs(30);

type Tune = Box<dyn Fn(&mut Settings)>;

pub struct World {
    pub seed: u64,
    plan: Rc<RefCell<Plan>>,
    history: Rc<RefCell<History>>,
    zone: Name,
    server: Name,
    tunes: Vec<Tune>,
    trust_anchors: Vec<Rr>,
    hosted: Vec<(Name, String)>,
    limits: Limits,
    workers: usize,
    listening: bool,
    reference: bool,
    families: (bool, bool),
    translator: Option<TranslationPrefix>,
    sockets: Option<(usize, i32)>,
    /// Says what was asked when a test fails.
    pub talkative: bool,
    running: Option<Running>,
}

struct Running {
    runtime: Runtime,
    tasks: LocalSet,
    engine: Engine,
    internet: Internet,
    clock: Arc<SimClock>,
    doors: Doors,
    asked: u16,
    /// Since then two versions of a zone's data may be cached at the same time, each until its TTL expires.
    changed: bool,
}

/// The world's servers, and who listens to what they say.
struct Stage {
    plan: Rc<RefCell<Plan>>,
    history: Rc<RefCell<History>>,
}

impl Behind for Stage {
    fn link(&self, to: IpAddr) -> Option<Link> {
        let plan = self.plan.borrow();
        plan.server_at(to).filter(|server| !server.manner.dead && !plan.is_silent(to)).map(|server| server.link.clone())
    }

    fn receive(&self, arrival: Arrival) -> String {
        let plan = self.plan.borrow();
        let told = plan.answer(arrival.to.ip(), &arrival.wire, arrival.tcp);
        let server = plan.server_at(arrival.to.ip());
        if let (Some(server), Some(honest)) = (server, told.honest) {
            self.history.borrow_mut().hear(server, &honest, told.forged);
        }
        if let Some(bytes) = told.bytes {
            arrival.reply.send(bytes);
        }
        told.word
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let seed = std::env::var("CAIRN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
        World {
            seed,
            plan: Rc::default(),
            history: Rc::default(),
            zone: Name::root(),
            server: Name::root(),
            tunes: Vec::new(),
            trust_anchors: Vec::new(),
            hosted: Vec::new(),
            limits: Limits::default(),
            workers: 1,
            listening: false,
            reference: false,
            families: (true, true),
            translator: None,
            sockets: None,
            talkative: true,
            running: None,
        }
    }

    // What there is.

    /// Makes the zone if need be; what follows is about it.
    pub fn zone(mut self, apex: &str) -> World {
        self.zone = name(apex);
        self.plan().zones.entry(self.zone.clone()).or_insert_with(|| Zone::new(&self.zone));
        self
    }

    /// The current zone has keys and signatures.
    pub fn signed(self) -> World {
        self.plan().zones.entry(self.zone.clone()).and_modify(|zone| zone.signed = true);
        self
    }

    /// The root is signed, and its key is what the resolver trusts.
    pub fn anchored(mut self) -> World {
        self.trust_anchors.push(signing::dnskey(&Name::root()));
        self.zone(".").signed()
    }

    /// Of the current zone's NS set and server addresses, where they are made up.
    pub fn ttl(self, seconds: u32) -> World {
        self.plan().zones.entry(self.zone.clone()).and_modify(|zone| zone.ttl = seconds);
        self
    }

    /// A record of the current zone; a cut's NS and glue belong to the parent.
    pub fn record(self, line: &str) -> World {
        self.plan().zones.entry(self.zone.clone()).or_insert_with(|| Zone::new(&self.zone)).add(Rr::parse(line));
        self
    }

    pub fn records(self, lines: &[&str]) -> World {
        lines.iter().fold(self, |world, line| world.record(line))
    }

    /// Signs these zones as they stand, each with the key of its seed. The zone above gets the DS record if it is among
    /// them; zones are given from the root down.
    pub fn sign(self, zones: &[(&str, u8)], now: u64) -> World {
        let mut plan = self.plan.borrow_mut();
        plan.touch().complete();
        for (apex, seed) in zones.iter().rev() {
            let (apex, key) = (name(apex), Key::new(*seed));
            plan.zones.get_mut(&apex).expect("the zone is there").sign(key, now);
            let above = apex.parent().and_then(|parent| plan.zone_of(&parent)).map(|zone| zone.apex.clone());
            if let Some(above) = above.filter(|above| zones.iter().any(|(signed, _)| name(signed) == *above)) {
                plan.zones.get_mut(&above).expect("just found").add(Rr::new(&apex, Rtype::DS, 3_600, key.ds(&apex)));
            }
        }
        drop(plan);
        self
    }

    /// The current server keeps its own copy of this zone as it is now, with a change.
    pub fn tells(self, apex: &str, change: impl FnOnce(&mut Zone)) -> World {
        let apex = name(apex);
        let mut zone = self.plan.borrow().zones[&apex].clone();
        change(&mut zone);
        self.with(|server| {
            server.zones.retain(|served| *served != apex);
            server.kept.push(zone);
        })
    }

    /// A zone that is signed already denies by NSEC3 from here on.
    pub fn nsec3(self, apex: &str, seed: u8, iterations: u16, now: u64) -> World {
        let apex = name(apex);
        self.plan.borrow_mut().zones.get_mut(&apex).expect("the zone is there").sign_nsec3(Key::new(seed), now, iterations);
        self
    }

    pub fn without(self, owner: &str, rtype: Rtype) -> World {
        self.plan().zones.entry(self.zone.clone()).and_modify(|zone| zone.remove(&name(owner), rtype));
        self
    }

    /// A server of the current zone, or, if it is known already, that server; what follows is about it.
    pub fn server(mut self, server: &str) -> World {
        self.server = name(server);
        let known = self.plan.borrow().servers.iter().any(|have| have.name == self.server);
        if known { self } else { self.serves() }
    }

    /// The current server serves the current zone too.
    pub fn serves(self) -> World {
        let zone = self.zone.clone();
        self.with(|server| {
            if !server.zones.contains(&zone) {
                server.zones.push(zone);
            }
        })
    }

    /// An address of the current server; without one it gets an IPv4 address.
    pub fn at(self, address: &str) -> World {
        self.with(|server| match address.parse().expect("an address") {
            IpAddr::V4(v4) => server.ipv4.push(v4),
            IpAddr::V6(v6) => server.ipv6.push(v6),
        })
    }

    pub fn dual_stack(self) -> World {
        let v4 = self.plan().next_ipv4();
        let v6 = self.plan().next_ipv6();
        self.with(|server| (server.ipv4, server.ipv6) = (vec![v4], vec![v6]))
    }

    /// Every server that is not given addresses has one of each family.
    pub fn all_dual_stack(self) -> World {
        self.plan().dual_stack = true;
        self
    }

    pub fn ipv6_only(self) -> World {
        let v6 = self.plan().next_ipv6();
        self.with(|server| (server.ipv4, server.ipv6) = (vec![], vec![v6]))
    }

    /// Parents also give sibling glue: addresses of name servers in other zones below them.
    pub fn sibling_glue(self) -> World {
        self.plan().sibling_glue = true;
        self
    }

    // How servers behave.

    pub fn with(self, change: impl FnOnce(&mut Server)) -> World {
        change(self.plan().server(&self.server));
        self
    }

    pub fn manner(self, change: impl FnOnce(&mut Manner)) -> World {
        self.with(|server| change(&mut server.manner))
    }

    pub fn link(self, change: impl FnOnce(&mut Link)) -> World {
        self.with(|server| change(&mut server.link))
    }

    /// What the current server says is changed on its way.
    pub fn rewrites(self, change: impl Fn(&mut Packet) + 'static) -> World {
        self.manner(|manner| manner.rewrite = Some(Rewrite(Rc::new(change))))
    }

    pub fn dead(self) -> World {
        self.manner(|manner| manner.dead = true)
    }

    pub fn alive(self) -> World {
        self.manner(|manner| *manner = Manner::default())
    }

    pub fn lame(self, how: Lame) -> World {
        self.manner(|manner| manner.lame = Some(how))
    }

    pub fn fails(self, rcode: Rcode) -> World {
        self.manner(|manner| manner.fails = Some(rcode))
    }

    pub fn formerr_to_edns(self) -> World {
        self.manner(|manner| manner.formerr_to_edns = true)
    }

    pub fn truncates(self) -> World {
        self.manner(|manner| manner.truncates = true)
    }

    /// This record comes along with every reply.
    pub fn slips_in(self, line: &str) -> World {
        self.manner(|manner| manner.slips_in.push(Rr::parse(line)))
    }

    pub fn delay(self, one_way_ms: u64) -> World {
        self.link(|link| link.delay = Duration::from_millis(one_way_ms))
    }

    pub fn jitter(self, ms: u64) -> World {
        self.link(|link| link.jitter = Duration::from_millis(ms))
    }

    pub fn loss(self, chance: f64) -> World {
        self.link(|link| link.loss = chance)
    }

    pub fn duplicates(self, chance: f64) -> World {
        self.link(|link| link.duplicate = chance)
    }

    pub fn tcp(self, tcp: Tcp) -> World {
        self.link(|link| link.tcp = tcp)
    }

    pub fn forged(self, forger: Forger) -> World {
        self.link(|link| link.forger = forger)
    }

    /// For the servers that are made from here on.
    pub fn every_link(self, change: impl Fn(&mut Link)) -> World {
        let mut plan = self.plan();
        change(&mut plan.default_link);
        plan.servers.iter_mut().for_each(|server| change(&mut server.link));
        drop(plan);
        self
    }

    // The resolver.

    /// Changes its configuration; before the first question.
    pub fn tune(mut self, change: impl Fn(&mut Settings) + 'static) -> World {
        assert!(self.running.is_none(), "it is running already");
        self.tunes.push(Box::new(change));
        self
    }

    pub fn trust_anchor(mut self, line: &str) -> World {
        self.trust_anchors.push(Rr::parse(line));
        self
    }

    /// A zone of the resolver's own, as a master file.
    pub fn hosts(mut self, apex: &str, text: &str) -> World {
        self.hosted.push((name(apex), text.to_owned()));
        self
    }

    /// Changes the limits of the resolver.
    pub fn limit(mut self, change: impl FnOnce(&mut Limits)) -> World {
        change(&mut self.limits);
        self
    }

    /// How many workers the resolver has; questions go to them in turn.
    pub fn workers(mut self, workers: usize) -> World {
        self.workers = workers;
        self
    }

    /// Clients' datagrams go through the loop of `listen`.
    pub fn listening(mut self) -> World {
        self.listening = true;
        self
    }

    /// The reference walker answers instead: to show what a world does to a resolver without care.
    pub fn reference(mut self) -> World {
        self.reference = true;
        self
    }

    /// The address families that the resolver's own host has.
    pub fn families(mut self, ipv4: bool, ipv6: bool) -> World {
        self.families = (ipv4, ipv6);
        self.running.iter().for_each(|running| running.internet.set_families(ipv4, ipv6));
        self
    }

    /// The resolver's host has so many sockets towards servers; the system reports one more with this error.
    /// The resolver's network has a translator (NAT64) for this prefix.
    pub fn translator(mut self, prefix: &str) -> World {
        self.translator = Some(prefix.parse().expect(prefix));
        self.running.iter().for_each(|running| running.internet.set_translator(self.translator));
        self
    }

    pub fn sockets(mut self, count: usize, error: i32) -> World {
        self.sockets = Some((count, error));
        self
    }

    // Asking.

    /// `"www.example. A"`; with the words `DO`, `AD`, `CD`, `TCP` behind it, `norec` for RD=0, and `from=ADDRESS`.
    pub fn ask(&mut self, question: &str) -> Answer {
        self.ask_all(&[question]).remove(0)
    }

    /// At the same time.
    pub fn ask_all(&mut self, questions: &[&str]) -> Vec<Answer> {
        self.start();
        let Some(running) = self.running.as_mut() else { unreachable!("just started") };
        let queries: Vec<(Vec<u8>, Client, usize)> = questions
            .iter()
            .map(|question| {
                running.asked = running.asked.wrapping_add(1);
                let (wire, client) = query(question, running.asked);
                (wire, client, usize::from(running.asked))
            })
            .collect();
        if self.listening {
            return running.doors.ask_all(queries, &running.runtime, &running.tasks);
        }
        let tasks: Vec<_> = queries
            .into_iter()
            .map(|(wire, client, worker)| {
                let (engine, unchanged) = (running.engine.clone(), !running.changed);
                running.tasks.spawn_local(async move {
                    let answer = ask_engine(&engine, &wire, &client, worker, unchanged).await;
                    if unchanged {
                        ask_again(&engine, &wire, &client, worker, &answer);
                    }
                    answer
                })
            })
            .collect();
        running.tasks.block_on(&running.runtime, async {
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
            }
            answers
        })
    }

    /// A datagram of some client to a listening resolver. Nobody waits.
    pub fn send(&mut self, question: &str, peer: SocketAddr) {
        self.start();
        let Some(running) = self.running.as_mut() else { unreachable!("just started") };
        let (wire, _) = query(question, peer.port());
        let _inside = running.runtime.enter();
        running.doors.send_from(peer, wire);
    }

    /// The datagrams that clients got since the last call, for each client's address and port.
    pub fn take_replies(&mut self) -> Vec<(SocketAddr, Packet)> {
        self.start();
        let Some(running) = self.running.as_mut() else { unreachable!("just started") };
        let decode = |(wire, peer): (Vec<u8>, SocketAddr)| (peer, Packet::decode(&wire).expect("a message"));
        running.doors.replies().into_iter().map(decode).collect()
    }

    /// Asks, and makes a `change` when the question has waited this long.
    pub fn ask_meanwhile(&mut self, question: &str, ms: u64, change: impl FnOnce(&World)) -> Answer {
        self.start();
        let Some(running) = self.running.as_mut() else { unreachable!("just started") };
        running.asked = running.asked.wrapping_add(1);
        let ((wire, client), worker) = (query(question, running.asked), usize::from(running.asked));
        let (engine, unchanged) = (running.engine.clone(), !running.changed);
        let task = running.tasks.spawn_local(async move { ask_engine(&engine, &wire, &client, worker, unchanged).await });
        self.wait_ms(ms);
        change(self);
        let running = self.running.as_ref().expect("it runs");
        let answered = running.tasks.block_on(&running.runtime, task);
        answered.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// The network of the resolver's own machine: packets vanish, or pass again.
    pub fn set_loss(&self, chance: f64) {
        let mut plan = self.plan();
        plan.default_link.loss = chance;
        plan.servers.iter_mut().for_each(|server| server.link.loss = chance);
    }

    /// There is no route for IPv4 or IPv6, or there is again.
    pub fn set_families(&self, ipv4: bool, ipv6: bool) {
        self.running.iter().for_each(|running| running.internet.set_families(ipv4, ipv6));
    }

    pub fn set_sockets(&self, count: usize) {
        self.running.iter().for_each(|running| running.internet.set_sockets(count, libc::EMFILE));
    }

    /// Everything that is sent by IPv4 or IPv6 vanishes, or passes again.
    pub fn silence(&self, ipv4: bool, ipv6: bool) {
        self.plan().silent = (ipv4, ipv6);
    }

    pub fn network_changed(&self) {
        self.running.iter().for_each(|running| running.engine.network_changed());
    }

    /// Asks, and fails where the answer is not what the zones say. SERVFAIL counts as wrong.
    pub fn ask_true(&mut self, question: &str) -> Answer {
        let answer = self.ask(question);
        assert_ne!(answer.packet.rcode, Rcode::SERVFAIL, "{question}: {}", answer.packet);
        if let Some(why) = self.expected(question).contradicts(&answer.packet) {
            panic!("{question}: {why}\n  {}", answer.packet);
        }
        answer
    }

    /// The right answer, by the zones alone.
    pub fn expected(&self, question: &str) -> Expected {
        self.plan.borrow_mut().complete();
        let (name, rtype) = split(question);
        Expected::of(&self.plan.borrow(), &name, rtype)
    }

    /// Time goes by: what is under way goes on for the first half minute, then the clocks jump.
    pub fn pass(&mut self, seconds: u64) {
        self.start();
        let running = self.running.as_ref().expect("just started");
        let waited = Duration::from_secs(seconds).min(REALLY_WAITED);
        running.tasks.block_on(&running.runtime, async { sleep(waited).await });
        let _inside = running.runtime.enter();
        running.clock.advance(Duration::from_secs(seconds) - waited);
    }

    // What is trusted.

    pub fn shared(&mut self) -> Arc<Shared> {
        self.start();
        self.running.as_ref().expect("just started").engine.shared()
    }

    /// The resolver reads its configuration again: trust anchors, tunes and hosted zones as the world has them now.
    pub fn reload(&mut self) {
        self.start();
        let running = self.running.as_ref().expect("just started");
        let _inside = running.runtime.enter();
        running.engine.reload(self.configuration(running.clock.clone(), &running.internet));
    }

    /// From here on these are all trust anchors; a reload puts them in force.
    pub fn anchors(mut self, lines: &[&str]) -> World {
        self.trust_anchors = lines.iter().map(|line| Rr::parse(line)).collect();
        self
    }

    /// A row of `cairn stats`.
    pub fn stat(&self, row: &str) -> u64 {
        self.at_its_time(|running| running.engine.stat(row))
    }

    /// What a walk for this question does.
    pub fn explain(&mut self, question: &str) -> Vec<Step> {
        self.start();
        let running = self.running.as_ref().expect("just started");
        let (name, rtype) = split(question);
        let question = Question::new(name, rtype);
        let explained = running.tasks.block_on(&running.runtime, running.engine.explain(&Explain::new(question, None)));
        explained.events.into_iter().map(|event| event.step).collect()
    }

    /// The whole explanation of one client's query.
    pub fn explain_as(&mut self, query: &Explain) -> Explained {
        self.start();
        let running = self.running.as_ref().expect("just started");
        running.tasks.block_on(&running.runtime, running.engine.explain(query))
    }

    /// The reply to any query of any client, without the ready answers.
    pub fn ask_as(&mut self, wire: &[u8], client: &Client) -> Answer {
        self.start();
        let running = self.running.as_ref().expect("just started");
        let start = Instant::now();
        let reply = running.tasks.block_on(&running.runtime, running.engine.in_full(wire, client, 0));
        Answer::read(reply.expect("a reply"), start.elapsed(), false)
    }

    /// Looks at the keys of trust points that are due.
    pub fn follow_anchors(&mut self) {
        self.start();
        let running = self.running.as_ref().expect("just started");
        running.tasks.block_on(&running.runtime, running.engine.follow_anchors());
    }

    /// For so long names are kept warm.
    pub fn keep_warm(&mut self, seconds: u64) {
        self.start();
        let running = self.running.as_ref().expect("just started");
        // A little less: the step at the end of this time is the first one of the next call.
        let time = Duration::from_secs(seconds) - Duration::from_millis(10);
        running.tasks.block_on(&running.runtime, async {
            let _ = tokio::time::timeout(time, running.engine.keep_warm()).await;
            sleep(Duration::from_millis(10)).await;
        });
    }

    /// Ends negative trust anchors whose time is over.
    pub fn tend_trust(&mut self) {
        let shared = self.shared();
        let _inside = self.running.as_ref().expect("just started").runtime.enter();
        shared.tend_trust();
    }

    /// Seconds since 1970.
    pub fn wall(&mut self) -> u64 {
        self.start();
        let running = self.running.as_ref().expect("just started");
        let _inside = running.runtime.enter();
        running.clock.wall().0
    }

    pub fn set_wall(&mut self, seconds: u64) {
        self.start();
        let running = self.running.as_ref().expect("just started");
        let _inside = running.runtime.enter();
        running.clock.set_wall(seconds);
    }

    pub fn queries_for(&self, owner: &str, rtype: Rtype) -> usize {
        tally(&self.log()).get(&(name(owner), rtype)).copied().unwrap_or(0)
    }

    /// Lets what is under way go on.
    pub fn wait_ms(&mut self, ms: u64) {
        self.start();
        let running = self.running.as_ref().expect("just started");
        running.tasks.block_on(&running.runtime, async { sleep(Duration::from_millis(ms)).await });
    }

    /// Zones and servers change. Replies from now on describe them as they are after the change.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut Plan, &mut History) -> R) -> R {
        self.start();
        self.running.as_mut().expect("just started").changed = true;
        self.at_its_time(|_| change(&mut self.plan(), &mut self.history.borrow_mut()))
    }

    /// Outside of its runtime the world's clock would show the time of this machine.
    fn at_its_time<R>(&self, act: impl FnOnce(&Running) -> R) -> R {
        let running = self.running.as_ref().expect("a world that has been asked something");
        let _inside = running.runtime.enter();
        act(running)
    }

    // What was seen.

    /// What is wrong with this answer, judged by all replies that servers have sent until now.
    pub fn contradicts(&self, question: &str, answer: &Answer) -> Option<String> {
        let (name, rtype) = split(question);
        self.at_its_time(|_| {
            let since_asked = answer.took + answer.came.elapsed();
            self.history.borrow().contradicts(&name, rtype, &answer.packet, since_asked)
        })
    }

    /// Queries that servers should not have got, and cache entries that no server has sent.
    pub fn wrongs(&self) -> Vec<String> {
        let history = self.history.borrow();
        let mut wrongs = history.wrongs().to_vec();
        self.at_its_time(|running| running.engine.dump_cache(&mut |entry| wrongs.extend(history.disowns(&entry))));
        wrongs
    }

    pub fn walks_in_progress(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.engine.walks_in_progress())
    }

    /// The same as `log`, without copies.
    pub fn each_seen(&self, mut look: impl FnMut(&Seen)) {
        self.running.iter().for_each(|running| running.internet.each_seen(&mut look));
    }

    /// Every query that the resolver sent since the last `forget`.
    pub fn log(&self) -> Vec<Seen> {
        self.running.as_ref().map_or(Vec::new(), |running| running.internet.log())
    }

    /// The time that the log shows.
    pub fn now(&mut self) -> Duration {
        self.start();
        self.at_its_time(|running| running.internet.now())
    }

    /// The longest while within this time in which no query was under way. For worlds in which nothing is lost.
    pub fn longest_idle(&self, since: Duration, until: Duration) -> Duration {
        let plan = self.plan.borrow();
        let (mut busy_until, mut longest) = (since, Duration::ZERO);
        self.each_seen(|seen| {
            let round_trip = plan.server_at(seen.to.ip()).map_or(Duration::ZERO, |server| server.link.delay * 2);
            let began = if seen.tcp { seen.at.saturating_sub(round_trip) } else { seen.at };
            longest = longest.max(began.min(until).saturating_sub(busy_until));
            busy_until = busy_until.max(seen.at + round_trip);
        });
        longest.max(until.saturating_sub(busy_until))
    }

    pub fn forget(&mut self) {
        self.running.iter().for_each(|running| running.internet.forget_log());
    }

    pub fn queries_to(&self, server: &str) -> Vec<Seen> {
        let addresses: Vec<IpAddr> = {
            let mut plan = self.plan.borrow_mut();
            let server = plan.server(&name(server));
            server.ipv4.iter().map(|a| IpAddr::V4(*a)).chain(server.ipv6.iter().map(|a| IpAddr::V6(*a))).collect()
        };
        self.log().into_iter().filter(|seen| addresses.contains(&seen.to.ip())).collect()
    }

    /// The most sockets towards servers that were open at a time.
    pub fn most_open_ports(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.internet.most_open_ports())
    }

    pub fn open_ports(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.internet.open_ports())
    }

    /// To change.
    pub fn plan(&self) -> std::cell::RefMut<'_, Plan> {
        let mut plan = self.plan.borrow_mut();
        plan.touch();
        plan
    }

    fn start(&mut self) {
        self.plan.borrow_mut().complete();
        if self.running.is_some() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let tasks = LocalSet::new();
        let (inside, local) = (runtime.enter(), tasks.enter());
        let stage = Stage { plan: self.plan.clone(), history: self.history.clone() };
        let (clock, internet) = (Arc::new(SimClock::new()), Internet::new(Rc::new(stage), self.seed));
        internet.set_families(self.families.0, self.families.1);
        internet.set_translator(self.translator);
        self.sockets.iter().for_each(|(count, error)| internet.set_sockets(*count, *error));
        let engine = Engine::start(self.configuration(clock.clone(), &internet));
        self.history.borrow_mut().begin(clock.clone());
        let doors = if self.listening { Doors::open(&engine, &clock, &self.limits) } else { Doors::default() };
        drop((inside, local));
        self.running = Some(Running { runtime, tasks, engine, internet, clock, doors, asked: 0, changed: false });
    }
}

impl World {
    /// What the resolver starts with, and what a reload takes.
    fn configuration(&self, clock: Arc<SimClock>, internet: &Internet) -> Start {
        let mut settings = Settings::default();
        settings.recursion.dnssec = !self.trust_anchors.is_empty();
        settings.server.allow = vec![cairn::config::Prefix::ALL_IPV4, cairn::config::Prefix::ALL_IPV6];
        (settings.recursion.ipv4, settings.recursion.ipv6) = (Some(self.families.0), Some(self.families.1));
        self.tunes.iter().for_each(|tune| tune(&mut settings));
        Start {
            settings,
            root_hints: self.plan.borrow().root_hints(),
            trust_anchors: self.trust_anchors.clone(),
            hosted: self.hosted.clone(),
            clock,
            net: Rc::new(internet.clone()),
            seed: self.seed,
            limits: self.limits,
            workers: self.workers,
            reference: self.reference,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && self.talkative {
            eprintln!("the seed was {}: CAIRN_SEED={} replays it; what was asked:", self.seed, self.seed);
            self.log().iter().for_each(|seen| eprintln!("  {seen}"));
        }
        // Tasks must end before the runtime, inside it.
        if let Some(Running { runtime, tasks, engine, .. }) = self.running.take() {
            let inside = runtime.enter();
            drop((tasks, engine));
            drop(inside);
        }
    }
}

/// First the short cut, then in full; where both answer they must say the same while the world is `unchanged`.
pub async fn ask_engine(engine: &Engine, wire: &[u8], client: &Client, worker: usize, unchanged: bool) -> Answer {
    let start = Instant::now();
    let quick = engine.at_once(wire, client, worker);
    let full = timeout(ANSWER_WITHIN, engine.in_full(wire, client, worker)).await.expect("an answer within 30 seconds");
    let took = start.elapsed();
    if let (Some(quick), Some(full)) = (&quick, &full) {
        // What is kept ready may outlive the servers that could say it again, and what they say now.
        let failed = Packet::decode(full).is_some_and(|full| full.rcode == Rcode::SERVFAIL);
        if unchanged && !failed && took.is_zero() {
            assert_same(quick, full, "at_once and in_full differ");
        }
    }
    match quick {
        // It came before the long way was taken.
        Some(quick) => Answer { came: start, ..Answer::read(quick, Duration::ZERO, true) },
        None => Answer::read(full.expect("a reply"), took, false),
    }
}

/// What was learned just now is there without waiting, and says the same.
fn ask_again(engine: &Engine, wire: &[u8], client: &Client, worker: usize, first: &Answer) {
    // After a ready answer the long way was taken as well; where that took time, something else may be known by now.
    let is_latest = !first.at_once || first.came.elapsed().is_zero();
    let plain = is_latest && matches!(first.packet.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) && first.packet.errors().is_empty();
    if let Some(again) = engine.at_once(wire, client, worker).filter(|_| plain) {
        assert_same(&again, &first.wire, "what was learned is told differently at once");
    }
}

/// The same but for ID, TTLs and the order within a section. What one knows of the additional section the other may
/// have learned later, or forgotten; where it is the same, every octet counts.
fn assert_same(one: &[u8], other: &[u8], what: &str) {
    let (Some(mut a), Some(mut b)) = (comparable(one), comparable(other)) else {
        assert_eq!(one, other, "{what}");
        return;
    };
    let is_whole = |wire: &[u8], kept: &Packet| Packet::decode(wire).is_some_and(|all| all.authority.len() == kept.authority.len());
    if a.additional == b.additional && is_whole(one, &a) && is_whole(other, &b) {
        assert_eq!(one.len(), other.len(), "{what}: {a} and {b}");
    }
    (a.additional, b.additional) = (Vec::new(), Vec::new());
    let whole = |packet: &Packet| {
        let edns = packet.edns.as_ref().map(|edns| (edns.size, edns.version, edns.dnssec_ok));
        format!("{:?} {edns:?} {packet}", packet.question.as_ref().map(|asked| asked.wire.clone()))
    };
    assert_eq!(whole(&a), whole(&b), "{what}");
}

fn comparable(wire: &[u8]) -> Option<Packet> {
    let mut packet = Packet::decode(wire)?;
    packet.id = 0;
    if packet.flags & AD == 0 && !packet.answer.is_empty() {
        // Proofs are of no use with an answer that is not validated: they are given with the reply that had them.
        packet.authority.retain(|rr| !matches!(rr.rtype, Rtype::NSEC | Rtype::RRSIG));
    }
    for section in [&mut packet.answer, &mut packet.authority, &mut packet.additional] {
        section.iter_mut().for_each(|rr| rr.ttl = 0);
        section.sort();
    }
    Some(packet)
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn split(question: &str) -> (Name, Rtype) {
    let mut words = question.split_whitespace();
    let owner = name(words.next().unwrap_or_default());
    let rtype = words.next().and_then(|word| word.parse().ok());
    (owner, rtype.unwrap_or_else(|| panic!("{question}: a type is missing")))
}

fn query(question: &str, id: u16) -> (Vec<u8>, Client) {
    let (owner, rtype) = split(question);
    let words: Vec<&str> = question.split_whitespace().skip(2).collect();
    let mut packet = Packet::query(id, &owner, rtype);
    let flags = [("AD", AD), ("CD", CD)].into_iter().filter(|(word, _)| words.contains(word)).fold(0, |flags, (_, flag)| flags | flag);
    packet.flags = if words.contains(&"norec") { 0 } else { RD } | flags;
    packet.edns = Some(Edns { size: 1232, dnssec_ok: words.contains(&"DO"), ..Edns::default() });
    if words.contains(&"noedns") {
        packet.edns = None;
    }
    // Letters as they were written.
    if let (Some(asked), Some(text)) = (packet.question.as_mut(), question.split_whitespace().next()) {
        let written: Vec<u8> =
            text.trim_end_matches('.').split('.').flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).chain([0]).collect();
        if written.eq_ignore_ascii_case(&asked.wire) {
            asked.wire = written;
        }
    }
    let mut client = client(words.contains(&"TCP"));
    if let Some(address) = words.iter().find_map(|word| word.strip_prefix("from=")) {
        client.peer.set_ip(address.parse().expect("an address"));
    }
    (packet.encode(), client)
}

pub fn client(tcp: bool) -> Client {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    Client { peer: at(40_000), local: at(53), transport: if tcp { Transport::Tcp } else { Transport::Udp }, is_behind_balancer: false }
}

/// How often each question went out, for counts in tests.
pub fn tally(log: &[Seen]) -> HashMap<(Name, Rtype), usize> {
    let mut counts = HashMap::new();
    log.iter().for_each(|seen| *counts.entry((seen.name(), seen.rtype())).or_default() += 1);
    counts
}
