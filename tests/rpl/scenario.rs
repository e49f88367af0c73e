//! Reads a scenario file: who answers what in which steps, what is asked, what must come out.
//!
//! The format is that of the `.rpl` files of several resolver projects, in both of its dialects: configuration as
//! clauses (`server:`, `stub-zone:`) or flat. `config.rs` tells what the configuration part means.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use cairn::record::{Class, Name, Rcode, Rtype};

use super::config::Config;
use crate::sim::packet::{AA, AD, CD, FLAGS, QR, RA, RD, TC};
use crate::sim::record::{Rr, TTL, hex, read_question, read_record};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Dialect {
    Clauses,
    Flat,
}

#[derive(Clone, Default)]
pub struct Entry {
    /// Where it stands in the file.
    pub line: usize,
    pub matches: Vec<String>,
    pub adjust: Vec<String>,
    pub opcode: u8,
    pub rcode: u16,
    pub flags: u16,
    pub dnssec_ok: bool,
    pub question: Option<(Name, Rtype, Class)>,
    pub answer: Vec<Rr>,
    pub authority: Vec<Rr>,
    pub additional: Vec<Rr>,
    /// The whole message, right or wrong.
    pub raw: Option<Vec<u8>>,
}

pub struct Range {
    pub from: u32,
    pub to: u32,
    /// Empty: any.
    pub addresses: BTreeSet<IpAddr>,
    pub entries: Vec<Entry>,
}

pub struct Step {
    pub number: u32,
    pub kind: String,
    pub arguments: Vec<String>,
    pub line: usize,
    pub entry: Option<Entry>,
}

pub struct Scenario {
    pub file: String,
    pub title: String,
    pub dialect: Dialect,
    pub config: Config,
    pub ranges: Vec<Range>,
    pub steps: Vec<Step>,
    /// Inception and expiration of every signature.
    pub signature_times: Vec<(u32, u32)>,
}

impl Entry {
    pub fn sections(&self) -> [&Vec<Rr>; 3] {
        [&self.answer, &self.authority, &self.additional]
    }

    pub fn matches_by(&self, word: &str) -> bool {
        self.matches.iter().any(|have| have == word)
    }

    pub fn adjusts(&self, word: &str) -> bool {
        self.adjust.iter().any(|have| have == word)
    }
}

impl Scenario {
    pub fn parse(file: &str, text: &str) -> Result<Scenario, String> {
        let text = text.replace('\r', "");
        let mut lines = text.lines().enumerate();
        let mut config = Vec::new();
        for (_, line) in lines.by_ref() {
            if line.trim_start().starts_with("CONFIG_END") {
                break;
            }
            config.push(line);
        }
        let clauses = |line: &&str| ["server:", "stub-zone:", "forward-zone:"].iter().any(|clause| line.trim_start().starts_with(clause));
        let dialect = if config.iter().any(clauses) { Dialect::Clauses } else { Dialect::Flat };
        let mut scenario = Scenario {
            file: Path::new(file).file_name().map_or(file.into(), |name| name.to_string_lossy().into_owned()),
            title: String::new(),
            dialect,
            config: Config::parse(dialect, &config)?,
            ranges: Vec::new(),
            steps: Vec::new(),
            signature_times: Vec::new(),
        };
        let mut reader =
            Reader { lines: lines.map(|(at, line)| (at + 1, line)).collect(), at: 0, origin: Name::root(), ttl: TTL, owner: Name::root() };
        reader.read(&mut scenario)?;
        if scenario.steps.is_empty() {
            return Err("no steps".into());
        }
        scenario.signature_times = scenario.entries().flat_map(|entry| entry.sections()).flatten().filter_map(signature_time).collect();
        if dialect == Dialect::Clauses {
            scenario.mark_authoritative();
        }
        Ok(scenario)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let steps = self.steps.iter().filter_map(|step| step.entry.as_ref());
        self.ranges.iter().flat_map(|range| &range.entries).chain(steps)
    }

    /// Scenarios of that dialect often leave AA off what is plainly authoritative, which a resolver may refuse.
    fn mark_authoritative(&mut self) {
        if ["lame", "noaa", "recurse", "fwd", "forward", "hint", "badauth"].iter().any(|about| self.file.contains(about)) {
            return;
        }
        for entry in self.ranges.iter_mut().flat_map(|range| &mut range.entries) {
            let Some((name, ..)) = &entry.question else { continue };
            if entry.flags & QR == 0 || !matches!(entry.rcode, 0 | 3) {
                continue;
            }
            let denied = entry.answer.is_empty() && entry.authority.iter().any(|rr| rr.rtype == Rtype::SOA);
            if entry.answer.iter().any(|rr| rr.name == *name) || denied {
                entry.flags |= AA;
            }
        }
    }
}

fn signature_time(rr: &Rr) -> Option<(u32, u32)> {
    let number = |at: usize| rr.rdata.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    (rr.rtype == Rtype::RRSIG).then(|| Some((number(12)?, number(8)?))).flatten()
}

struct Reader<'t> {
    lines: Vec<(usize, &'t str)>,
    at: usize,
    origin: Name,
    ttl: u32,
    owner: Name,
}

impl<'t> Reader<'t> {
    /// The next line with something on it: its number, whether it is indented, its text without the comment.
    fn next(&mut self) -> Option<(usize, bool, &'t str)> {
        loop {
            let (number, raw) = *self.lines.get(self.at)?;
            self.at += 1;
            let text = without_comment(raw, ";").trim();
            if !text.is_empty() {
                return Some((number, raw.starts_with([' ', '\t']), text));
            }
        }
    }

    fn read(&mut self, scenario: &mut Scenario) -> Result<(), String> {
        let mut in_step = false;
        while let Some((number, _, line)) = self.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let wrong = || format!("line {number}: {line}");
            let word = |at: usize| words.get(at).copied().ok_or_else(wrong);
            match words[0] {
                "SCENARIO_BEGIN" => scenario.title = line["SCENARIO_BEGIN".len()..].trim().to_owned(),
                "SCENARIO_END" => return Ok(()),
                "$ORIGIN" => self.origin = Name::parse(word(1)?).map_err(|_| wrong())?,
                "$TTL" => self.ttl = word(1)?.parse().map_err(|_| wrong())?,
                "RANGE_BEGIN" => {
                    in_step = false;
                    let (from, to) = (word(1)?.parse().map_err(|_| wrong())?, word(2)?.parse().map_err(|_| wrong())?);
                    let addresses = words[3..].iter().map(|word| address(word)).collect::<Result<_, _>>()?;
                    scenario.ranges.push(Range { from, to, addresses, entries: Vec::new() });
                }
                "RANGE_END" | "END_RANGE" => {}
                "ADDRESS" => {
                    let given = address(word(1)?)?;
                    scenario.ranges.last_mut().ok_or_else(wrong)?.addresses.insert(given);
                }
                "STEP" => {
                    in_step = true;
                    let arguments = words.iter().skip(3).map(|&word| word.to_owned()).collect();
                    let (step, kind) = (word(1)?.parse().map_err(|_| wrong())?, word(2)?.to_owned());
                    scenario.steps.push(Step { number: step, kind, arguments, line: number, entry: None });
                }
                "ENTRY_BEGIN" => {
                    let entry = self.entry(number)?;
                    match (in_step, scenario.steps.last_mut(), scenario.ranges.last_mut()) {
                        (true, Some(step), _) => step.entry = Some(entry),
                        (false, _, Some(range)) => range.entries.push(entry),
                        _ => return Err(wrong()),
                    }
                }
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }

    fn entry(&mut self, line: usize) -> Result<Entry, String> {
        let mut entry = Entry { line, ..Entry::default() };
        let mut section = "";
        while let Some((number, indented, text)) = self.next() {
            let words: Vec<&str> = text.split_whitespace().collect();
            let wrong = || format!("line {number}: {text}");
            match words[0] {
                "ENTRY_END" => return Ok(entry),
                "MATCH" => entry.matches.extend(words[1..].iter().map(|&word| word.to_owned())),
                "ADJUST" => entry.adjust.extend(words[1..].iter().map(|&word| word.to_owned())),
                "MANDATORY" => {}
                "REPLY" | "FLAGS" => words[1..].iter().try_for_each(|word| reply_word(&mut entry, word)).map_err(|()| wrong())?,
                "SECTION" => section = words.get(1).copied().ok_or_else(wrong)?,
                "RAW" => entry.raw = Some(self.hex_until("ENTRY_END", true)?),
                "HEX_ANSWER_BEGIN" => entry.raw = Some(self.hex_until("HEX_ANSWER_END", false)?),
                "$ORIGIN" => self.origin = Name::parse(words.get(1).ok_or_else(wrong)?).map_err(|_| wrong())?,
                "$TTL" => self.ttl = words.get(1).and_then(|word| word.parse().ok()).ok_or_else(wrong)?,
                _ => {
                    let record = self.joined(text);
                    self.record(&mut entry, section, &record, indented).map_err(|why| format!("line {number}: {why}: {text}"))?;
                }
            }
        }
        Err(format!("line {line}: the entry is not closed"))
    }

    /// Lines up to the closing parenthesis.
    fn joined(&mut self, first: &str) -> String {
        let mut text = first.to_owned();
        while text.matches('(').count() > text.matches(')').count() {
            let Some((_, _, more)) = self.next() else { break };
            text = format!("{text} {more}");
        }
        text
    }

    fn record(&mut self, entry: &mut Entry, section: &str, text: &str, indented: bool) -> Result<(), String> {
        if section.eq_ignore_ascii_case("QUESTION") {
            let (name, rtype, class) = read_question(text, &self.origin)?;
            self.owner = name.clone();
            entry.question.get_or_insert((name, rtype, class));
            return Ok(());
        }
        let rr = read_record(text, &self.origin, self.ttl, indented.then_some(&self.owner))?;
        self.owner = rr.name.clone();
        match section.to_ascii_uppercase().as_str() {
            "ANSWER" => entry.answer.push(rr),
            "AUTHORITY" => entry.authority.push(rr),
            "ADDITIONAL" => entry.additional.push(rr),
            other => return Err(format!("section {other:?}")),
        }
        Ok(())
    }

    fn hex_until(&mut self, end: &str, keep_end: bool) -> Result<Vec<u8>, String> {
        let mut digits = String::new();
        while let Some((_, _, text)) = self.next() {
            if text.starts_with(end) {
                self.at -= usize::from(keep_end);
                break;
            }
            digits.extend(text.split_whitespace());
        }
        hex(&digits)
    }
}

fn reply_word(entry: &mut Entry, word: &str) -> Result<(), ()> {
    let word = word.trim_matches(',').to_ascii_uppercase();
    if let Some((_, bit)) = FLAGS.iter().find(|(flag, _)| *flag == word) {
        entry.flags |= bit;
        return Ok(());
    }
    match word.as_str() {
        "DO" => entry.dnssec_ok = true,
        "FLAGS" | "MANDATORY" | "QUERY" => {}
        "IQUERY" => entry.opcode = 1,
        "STATUS" => entry.opcode = 2,
        "NOTIFY" => entry.opcode = 4,
        "UPDATE" => entry.opcode = 5,
        other => entry.rcode = rcode(other).ok_or(())?.0,
    }
    Ok(())
}

fn rcode(word: &str) -> Option<Rcode> {
    const WORDS: [&str; 11] =
        ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"];
    let named = |at: usize| Rcode(at as u16);
    match word {
        "NOTIMPL" => Some(Rcode::NOTIMP),
        "BADVERS" => Some(Rcode::BADVERS),
        "BADCOOKIE" => Some(Rcode::BADCOOKIE),
        other => WORDS.iter().position(|known| *known == other).map(named),
    }
}

/// `192.0.2.1` or `192.0.2.1@53`.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.split('@').next().unwrap_or_default().parse().map_err(|_| format!("address {text}"))
}

/// Up to the first of these characters outside quotes.
pub fn without_comment<'t>(line: &'t str, marks: &str) -> &'t str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && marks.contains(c) => return &line[..at],
            _ => {}
        }
    }
    line
}

/// All that a client's answer is compared in.
pub const COMPARED_FLAGS: u16 = QR | AA | TC | RD | RA | AD | CD;
