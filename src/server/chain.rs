//! The chain of trust of an explained question: from the anchor, zone by zone, to the answer, with the link marked
//! that does not hold. As lines for people, as members of an object for programs, and as a picture.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::record::{Name, Security};
use crate::resolve::{ChainPart, Event, Step};
use crate::validate::{AlgorithmName, Date, Signed};

/// One object for each name that was to be proved: of a chain of aliases, each has its own.
pub(super) fn told(events: &[Event]) -> Vec<Value> {
    let links: Vec<Link<'_>> = events.iter().filter_map(|event| Link::of(&event.step)).collect();
    let answers = links.iter().filter(|link| link.part.rtype.is_some());
    answers.map(|answer| chain(&links, answer)).collect()
}

struct Link<'a> {
    part: &'a ChainPart,
    security: Security,
    detail: &'a str,
}

impl<'a> Link<'a> {
    fn of(step: &'a Step) -> Option<Link<'a>> {
        match step {
            Step::Proof { part: Some(part), security, detail, .. } => Some(Link { part, security: *security, detail }),
            _ => None,
        }
    }
}

fn chain(links: &[Link<'_>], answer: &Link<'_>) -> Value {
    let mut zones: Vec<&Link<'_>> = Vec::new();
    for link in links.iter().filter(|link| link.part.rtype.is_none() && answer.part.name.is_within(&link.part.name)) {
        if !zones.iter().any(|have| have.part.name == link.part.name) {
            zones.push(link);
        }
    }
    zones.sort_by_key(|link| link.part.name.label_count());
    let mut told = Vec::new();
    let mut broken = false;
    for link in zones.into_iter().chain([answer]) {
        let breaks = link.security == Security::Bogus && !broken;
        broken |= breaks;
        told.push(member(link, breaks));
    }
    let question = title(answer.part);
    let mut line = format!("Chain of trust for {question}");
    for (at, link) in told.iter().enumerate() {
        let text = |member: &str| link.get(member).and_then(Value::as_str).unwrap_or_default();
        let _ = write!(line, "\n  {}{} {}  {}", if at == 0 { "" } else { "└ " }, mark(text("security")), text("title"), text("text"));
    }
    json!({ "step": "chain", "question": question, "links": told, "line": line })
}

fn member(link: &Link<'_>, breaks: bool) -> Value {
    let part = link.part;
    json!({
        "title": title(part),
        "security": format!("{:?}", link.security).to_lowercase(),
        "anchored": part.anchored,
        "keys": part.keys,
        "signed": part.signed.map(|signed| json!({
            "key_tag": signed.key_tag,
            "algorithm": signed.algorithm,
            "inception": Date(signed.inception).to_string(),
            "expiration": Date(signed.expiration).to_string(),
        })),
        "broken": breaks,
        "text": text(link, breaks),
    })
}

fn title(part: &ChainPart) -> String {
    match part.rtype {
        Some(rtype) => format!("{} {rtype}", part.name),
        None => zone_title(&part.name),
    }
}

fn zone_title(name: &Name) -> String {
    if name.is_root() { ". (the root)".to_owned() } else { name.to_string() }
}

fn text(link: &Link<'_>, breaks: bool) -> String {
    let by = if link.part.anchored { "the trust anchor" } else { "the DS record above" };
    match (link.security, link.part.rtype, link.part.signed) {
        (Security::Secure, None, Some(signed)) => {
            format!(
                "{by} vouches for key {}, which signs the zone's keys ({} in all): {}",
                signed.key_tag,
                link.part.keys.len(),
                dates(signed)
            )
        }
        (Security::Secure, Some(_), Some(signed)) => format!("signed by key {}: {}", signed.key_tag, dates(signed)),
        (Security::Secure, Some(_), None) => "proved by records of its zone".to_owned(),
        (Security::Secure, None, None) => "proved".to_owned(),
        (Security::Bogus, ..) if breaks => format!("THE CHAIN BREAKS HERE: {}", link.detail),
        (Security::Bogus, ..) => "not believed, because the chain is broken above".to_owned(),
        (Security::Insecure | Security::Indeterminate, ..) if link.detail.is_empty() => "not signed, which is proved above".to_owned(),
        (Security::Insecure | Security::Indeterminate, ..) => format!("not signed: {}", link.detail),
    }
}

fn dates(signed: Signed) -> String {
    format!("{}, valid from {} to {}", AlgorithmName(signed.algorithm), Date(signed.inception), Date(signed.expiration))
}

fn mark(security: &str) -> &'static str {
    match security {
        "secure" => "✓",
        "bogus" => "✗",
        _ => "○",
    }
}

const WIDTH: usize = 760;
const BOX: usize = 74;
const GAP: usize = 34;
/// Characters of the second and third line of a box.
const LINE_CHARS: usize = 100;

/// The chains that [`told`] made, as a picture: one box a link, from the anchor down, green where it holds, grey where
/// nothing is signed or nothing is believed any more, red where it breaks.
pub fn chain_picture(chains: &[Value]) -> String {
    let mut body = String::new();
    let mut y = 16;
    for chain in chains {
        let question = chain.get("question").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(body, r#"<text x="20" y="{}" font-size="18" font-weight="bold">{}</text>"#, y + 16, escaped(question));
        y += 34;
        let links = chain.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (at, link) in links.iter().enumerate() {
            if at > 0 {
                draw_arrow(&mut body, y, link);
                y += GAP;
            }
            draw_box(&mut body, y, link);
            y += BOX;
        }
        y += 24;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn draw_box(body: &mut String, y: usize, link: &Value) {
    let text = |member: &str| link.get(member).and_then(Value::as_str).unwrap_or_default();
    let (line, fill) = colours(link);
    let (stroke, weight) = match (breaks(link), text("security")) {
        (true, _) => (r#"stroke-width="4""#, "bold"),
        (false, "bogus") => (r#"stroke-width="2" stroke-dasharray="6 5""#, "normal"),
        (false, _) => (r#"stroke-width="2""#, "normal"),
    };
    let _ = writeln!(body, r#"<rect x="20" y="{y}" width="{}" height="{BOX}" rx="8" fill="{fill}" stroke="{line}" {stroke}/>"#, WIDTH - 40);
    let head = format!("{} {}", mark(text("security")), text("title"));
    let _ = writeln!(body, r#"<text x="36" y="{}" font-size="16" font-weight="bold" fill="{line}">{}</text>"#, y + 26, escaped(&head));
    for (at, part) in wrapped(text("text")).iter().enumerate() {
        let _ = writeln!(
            body,
            r##"<text x="36" y="{}" font-size="12" font-weight="{weight}" fill="#222222">{}</text>"##,
            y + 46 + at * 16,
            escaped(part)
        );
    }
}

/// From a link to the next one; a cross where the next one does not hold.
fn draw_arrow(body: &mut String, y: usize, next: &Value) {
    let broken = breaks(next);
    let (line, _) = colours(next);
    let (x, end) = (WIDTH / 2, y + GAP);
    let dashes = if broken { r#" stroke-dasharray="5 4""# } else { "" };
    let _ = writeln!(body, r#"<path d="M{x} {y}V{}" stroke="{line}" stroke-width="3" fill="none"{dashes}/>"#, end - 8);
    let _ = writeln!(body, r#"<path d="M{} {}h16l-8 9z" fill="{line}"/>"#, x - 8, end - 9);
    if broken {
        let _ = writeln!(
            body,
            r#"<path d="M{} {}l16 16m0 -16l-16 16" stroke="{line}" stroke-width="4" fill="none"/>"#,
            x - 8,
            y + GAP / 2 - 10
        );
    }
}

fn breaks(link: &Value) -> bool {
    link.get("broken") == Some(&Value::Bool(true))
}

/// Line and fill. Only the link that breaks is red: what hangs below it is not at fault.
fn colours(link: &Value) -> (&'static str, &'static str) {
    match link.get("security").and_then(Value::as_str) {
        Some("secure") => ("#1b6e2c", "#eaf6ec"),
        Some("bogus") if breaks(link) => ("#b3261e", "#fdecea"),
        _ => ("#5f6368", "#f1f3f4"),
    }
}

/// At most two lines, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| !line.is_empty() && line.chars().count() + word.chars().count() >= LINE_CHARS);
        if full && lines.len() == 2 {
            lines[1].push('…');
            break;
        }
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.extend(word.chars().take(LINE_CHARS));
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Rtype;
    use crate::resolve::ZoneKey;

    fn event(name: &str, rtype: Option<Rtype>, security: Security, detail: &str) -> Event {
        let signed = Signed { key_tag: 7, algorithm: 13, inception: 0, expiration: 86_400 };
        let part = ChainPart {
            name: Name::parse(name).expect(name),
            rtype,
            anchored: name == ".",
            keys: vec![ZoneKey { key_tag: 7, algorithm: 13 }],
            signed: (security == Security::Secure).then_some(signed),
        };
        let step = Step::Proof { subject: name.to_owned(), security, detail: detail.to_owned(), part: Some(Box::new(part)) };
        Event { at: Duration::ZERO, depth: 0, step }
    }

    #[test]
    fn from_the_anchor_to_the_broken_link() {
        let events = [
            event("example.", None, Security::Bogus, "no <key> fits"),
            event(".", None, Security::Secure, ""),
            event("other.", None, Security::Secure, ""),
            event("www.example.", Some(Rtype::A), Security::Bogus, "no key fits"),
        ];
        let chains = told(&events);
        let line = chains[0]["line"].as_str().expect("text");
        let lines: Vec<&str> = line.lines().collect();
        assert_eq!(lines.len(), 4, "{line}");
        assert!(lines[1].contains("✓ . (the root)  the trust anchor vouches for key 7"), "{line}");
        assert!(lines[2].contains("✗ example.  THE CHAIN BREAKS HERE: no <key> fits"), "{line}");
        assert!(lines[3].contains("✗ www.example. A  not believed"), "{line}");
        let picture = chain_picture(&chains);
        assert!(picture.starts_with("<svg ") && picture.contains("no &lt;key&gt; fits"));
        assert_eq!(picture.matches("<rect x=").count(), 3);
        let of_boxes = |colour: &str| picture.matches(&format!("rx=\"8\" fill=\"{colour}\"")).count();
        assert_eq!(["#eaf6ec", "#fdecea", "#f1f3f4"].map(of_boxes), [1, 1, 1], "one red box, and one cross before it");
        assert_eq!(picture.matches("l16 16m0").count(), 1);
    }

    #[test]
    fn long_reasons_take_two_lines() {
        let lines = wrapped(&"word ".repeat(100));
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.chars().count() <= LINE_CHARS + 1) && lines[1].ends_with('…'));
    }
}
