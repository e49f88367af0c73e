//! Plays a scenario against the resolver in virtual time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{sleep, timeout};

use super::compare::difference;
use super::scenario::{Dialect, Entry, Scenario, Step, address};
use super::servers::{Servers, matches_query, reply_to};
use crate::sim::clock::SimClock;
use crate::sim::engine::{Engine, Start};
use crate::sim::internet::Internet;
use crate::sim::packet::{Edns, Packet, QR, TC};
use crate::sim::world::{ask_engine, client};
use cairn::answer::Client;
use cairn::limits::Limits;

const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// A question that was asked.
struct Asked {
    entry: Entry,
    wire: Vec<u8>,
    client: Client,
    task: Option<JoinHandle<Packet>>,
    answer: Option<Packet>,
    done: bool,
}

struct Player {
    scenario: Rc<Scenario>,
    servers: Rc<Servers>,
    internet: Internet,
    clock: Arc<SimClock>,
    engine: Engine,
    asked: Vec<Asked>,
    /// Sum of TIME_PASSES.
    elapsed: Duration,
}

/// What went wrong, with all that was asked.
pub fn play(file: &str, text: &str) -> Result<(), String> {
    let scenario = Rc::new(Scenario::parse(file, text).map_err(|why| format!("{file}: cannot be read: {why}"))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().map_err(|e| e.to_string())?;
    let tasks = LocalSet::new();
    let result = tasks.block_on(&runtime, async {
        let mut player = Player::new(scenario.clone());
        let result = player.steps().await;
        result.map_err(|why| {
            let log: Vec<String> = player.internet.log().iter().map(|seen| format!("\n    {seen}")).collect();
            format!("{file}: {why}\n  asked of servers:{}", log.concat())
        })
    });
    end(runtime, tasks);
    result
}

/// Tasks that still run are dropped inside the runtime.
fn end(runtime: Runtime, tasks: LocalSet) {
    let inside = runtime.enter();
    drop(tasks);
    drop(inside);
}

impl Player {
    fn new(scenario: Rc<Scenario>) -> Player {
        let servers = Rc::new(Servers::new(scenario.clone()));
        let (internet, clock) = (Internet::new(servers.clone(), 1), Arc::new(SimClock::new()));
        if let Some(now) = date(&scenario) {
            clock.set_wall(u64::from(now));
        }
        let config = &scenario.config;
        let engine = Engine::start(Start {
            settings: config.settings(),
            root_hints: config.root_hints(),
            trust_anchors: config.anchors(),
            hosted: Vec::new(),
            clock: clock.clone(),
            net: Rc::new(internet.clone()),
            limits: Limits::default(),
            seed: 1,
            workers: 1,
            reference: false,
        });
        Player { scenario, servers, internet, clock, engine, asked: Vec::new(), elapsed: Duration::ZERO }
    }

    async fn steps(&mut self) -> Result<(), String> {
        let scenario = self.scenario.clone();
        for (at, step) in scenario.steps.iter().enumerate() {
            let next = scenario.steps.get(at + 1);
            // In the dialect with clauses a query is answered as of the step that comes next.
            let early = scenario.dialect == Dialect::Clauses && step.kind == "QUERY";
            self.servers.step.set(next.filter(|_| early).unwrap_or(step).number);
            let result = match step.kind.as_str() {
                "QUERY" => self.query(step, next).await,
                "CHECK_ANSWER" => self.check(step).await,
                "TIME_PASSES" => self.pass(step).await,
                "TRAFFIC" => {
                    self.quiet(250, 4000).await;
                    Ok(())
                }
                "REPLY" | "CHECK_OUT_QUERY" => self.scripted(step).await,
                "NOTHING" => Ok(()),
                other => Err(format!("step kind {other} is not played here")),
            };
            result.map_err(|why| format!("step {} (line {}): {why}", step.number, step.line))?;
        }
        Ok(())
    }

    async fn query(&mut self, step: &Step, next: Option<&Step>) -> Result<(), String> {
        let entry = step.entry.as_ref().ok_or("no entry")?;
        let mut client = client(entry.matches_by("TCP"));
        if let [word, given, ..] = &step.arguments[..]
            && word == "ADDRESS"
        {
            client.peer.set_ip(address(given)?);
        }
        let wire = query_wire(entry, self.scenario.dialect, self.asked.len() as u16 + 1);
        let task = self.spawn(wire.clone(), client);
        if entry.raw.is_some() && self.scenario.dialect == Dialect::Flat {
            return Ok(()); // Whatever becomes of it, it is not waited for.
        }
        self.asked.push(Asked { entry: entry.clone(), wire, client, task: Some(task), answer: None, done: false });
        let scripted = next.is_some_and(|next| matches!(next.kind.as_str(), "REPLY" | "CHECK_OUT_QUERY"));
        if self.scenario.dialect == Dialect::Flat && !scripted {
            self.wait(self.asked.len() - 1).await?;
        }
        // What can be answered without waiting is answered in this step.
        sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    fn spawn(&self, wire: Vec<u8>, client: Client) -> JoinHandle<Packet> {
        let engine = self.engine.clone();
        tokio::task::spawn_local(async move { ask_engine(&engine, &wire, &client, 0, true).await.packet })
    }

    /// Waits for the answer to one question; after 12 seconds there is none.
    async fn wait(&mut self, at: usize) -> Result<(), String> {
        let Some(task) = self.asked[at].task.as_mut() else { return Ok(()) };
        let Ok(ended) = timeout(ANSWER_WITHIN, task).await else { return Err("no answer within 12 seconds".into()) };
        self.asked[at].task = None;
        self.asked[at].answer = Some(ended.map_err(|panic| format!("the resolver failed: {}", panic_text(panic)))?);
        Ok(())
    }

    async fn check(&mut self, step: &Step) -> Result<(), String> {
        let expected = step.entry.as_ref().ok_or("no entry")?;
        let open: Vec<usize> = (0..self.asked.len()).filter(|at| !self.asked[*at].done).collect();
        let last = *open.last().ok_or("no question was asked")?;
        let same_question = |at: &usize| match (&self.asked[*at].entry.question, &expected.question) {
            (Some(asked), Some(wanted)) => asked.0 == wanted.0 && asked.1 == wanted.1,
            _ => false,
        };
        let mut candidates: Vec<usize> = open.iter().copied().filter(same_question).collect();
        if self.scenario.dialect == Dialect::Flat {
            candidates = vec![last];
        } else if candidates.is_empty() {
            candidates = open.clone();
        }
        let mut wrong = None;
        for at in candidates {
            self.wait(at).await?;
            let Some(mut answer) = self.asked[at].answer.clone() else { continue };
            if answer.has(TC) && expected.flags & TC == 0 {
                answer = self.over_tcp(at).await?;
            }
            let Some(why) = difference(expected, &answer) else {
                self.asked[at].done = true;
                if self.scenario.dialect == Dialect::Flat {
                    open.iter().for_each(|at| self.asked[*at].done = true);
                }
                return Ok(());
            };
            wrong.get_or_insert(format!("{why}\n  expected:\n  {}\n  got:\n  {answer}", packet_of(expected)));
        }
        Err(wrong.unwrap_or_else(|| "no answer".into()))
    }

    async fn over_tcp(&mut self, at: usize) -> Result<Packet, String> {
        let asked = &self.asked[at];
        let client = Client { transport: cairn::answer::Transport::Tcp, ..asked.client };
        let again = self.spawn(asked.wire.clone(), client);
        timeout(ANSWER_WITHIN, again).await.map_err(|_| "no answer over TCP")?.map_err(panic_text)
    }

    /// Both clocks jump; time already gone by counts.
    async fn pass(&mut self, step: &Step) -> Result<(), String> {
        let seconds: f64 = match &step.arguments[..] {
            [word, seconds, ..] if word == "ELAPSE" => seconds.parse().map_err(|_| format!("ELAPSE {seconds}"))?,
            _ => return Err("TIME_PASSES without ELAPSE is not played here".into()),
        };
        self.quiet(100, 2000).await;
        self.elapsed += Duration::from_secs_f64(seconds);
        let wanted = self.elapsed + Duration::from_millis(50);
        self.clock.advance(wanted.saturating_sub(self.clock.since_start()));
        sleep(Duration::from_millis(50)).await;
        Ok(())
    }

    /// Waits until nothing has been sent for this long.
    async fn quiet(&self, still_ms: u64, most_ms: u64) {
        for _ in 0..most_ms / still_ms {
            let before = self.servers.traffic.get();
            sleep(Duration::from_millis(still_ms)).await;
            if self.servers.traffic.get() == before {
                return;
            }
        }
    }

    async fn scripted(&mut self, step: &Step) -> Result<(), String> {
        for _ in 0..500 {
            if self.answer_waiting(step) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        if step.kind == "REPLY" && self.scenario.dialect == Dialect::Flat {
            return Ok(());
        }
        Err("the resolver did not send the expected query".into())
    }

    /// Gives the step's reply to the queries that wait for it; false where there are none.
    fn answer_waiting(&self, step: &Step) -> bool {
        let wanted = |query: &Packet, tcp: bool| step.entry.as_ref().is_none_or(|entry| matches_query(entry, query, tcp));
        let mut waiting = self.servers.waiting.borrow_mut();
        if !waiting.iter().any(|(query, tcp, _)| wanted(query, *tcp)) {
            return false;
        }
        let answers = |entry: &&Entry| step.kind == "REPLY" || entry.adjusts("copy_id");
        if let Some(entry) = step.entry.as_ref().filter(answers) {
            let (hits, others): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|(query, tcp, _)| wanted(query, *tcp));
            *waiting = others;
            for (query, tcp, reply) in hits {
                reply_to(entry, &query, tcp).into_iter().for_each(|wire| reply.send(wire));
            }
        }
        true
    }
}

fn panic_text(panic: tokio::task::JoinError) -> String {
    let payload = panic.into_panic();
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The date that the scenario names, or one at which its signatures hold.
fn date(scenario: &Scenario) -> Option<u32> {
    let config = &scenario.config;
    let mut times = scenario.signature_times.clone();
    if !config.date_is_free && (config.date.is_some() || config.trust_anchors.is_empty()) || times.is_empty() {
        return config.date;
    }
    let mut from = times.iter().map(|(inception, _)| *inception).max()?;
    let mut to = times.iter().map(|(_, expiration)| *expiration).min()?;
    if from > to {
        times.sort_unstable();
        (from, to) = times[times.len() / 2];
    }
    Some(from + 3600.min(to.saturating_sub(from) / 2))
}

fn query_wire(entry: &Entry, dialect: Dialect, id: u16) -> Vec<u8> {
    if let Some(raw) = &entry.raw {
        return raw.clone();
    }
    let mut query = packet_of(entry);
    (query.id, query.flags) = (id, entry.flags & !QR);
    (query.answer, query.authority, query.additional) = (Vec::new(), Vec::new(), Vec::new());
    query.edns = (entry.dnssec_ok || dialect == Dialect::Flat).then(|| Edns { size: 4096, dnssec_ok: entry.dnssec_ok, ..Edns::default() });
    query.encode()
}

fn packet_of(entry: &Entry) -> Packet {
    let (name, rtype, class) =
        entry.question.clone().unwrap_or((cairn::record::Name::root(), cairn::record::Rtype(0), cairn::record::Class::IN));
    let mut packet = Packet::query(0, &name, rtype);
    match packet.question.as_mut().filter(|_| entry.question.is_some()) {
        Some(asked) => asked.class = class,
        None => packet.question = None,
    }
    (packet.flags, packet.opcode, packet.rcode) = (entry.flags, entry.opcode, cairn::record::Rcode(entry.rcode));
    (packet.answer, packet.authority, packet.additional) = (entry.answer.clone(), entry.authority.clone(), entry.additional.clone());
    packet
}
