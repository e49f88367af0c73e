//! Chains of trust as a picture (SVG).

use std::fmt::Write;

use super::event::{Chain, ChainLink, Security};
use super::text;

const WIDTH: usize = 760;
const BOX: usize = 74;
const GAP: usize = 34;
/// Characters of the second and third line of a box.
const LINE_CHARS: usize = 100;

/// One box for each link, from the trust anchor down: green if it is valid, grey if it is unsigned or no longer trusted, red
/// where the chain breaks.
pub fn chain_picture(chains: &[Chain]) -> String {
    let mut body = String::new();
    let mut y = 16;
    for chain in chains {
        let _ = writeln!(body, r#"<text x="20" y="{}" font-size="18" font-weight="bold">{}</text>"#, y + 16, escaped(&chain.question));
        y += 34;
        for (at, link) in chain.links.iter().enumerate() {
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

fn draw_box(body: &mut String, y: usize, link: &ChainLink) {
    let (line, fill) = colours(link);
    let (stroke, weight) = match (link.broken, link.security) {
        (true, _) => (r#"stroke-width="4""#, "bold"),
        (false, Security::Bogus) => (r#"stroke-width="2" stroke-dasharray="6 5""#, "normal"),
        (false, _) => (r#"stroke-width="2""#, "normal"),
    };
    let _ = writeln!(body, r#"<rect x="20" y="{y}" width="{}" height="{BOX}" rx="8" fill="{fill}" stroke="{line}" {stroke}/>"#, WIDTH - 40);
    let head = format!("{} {}", text::sign(link), text::title(link));
    let _ = writeln!(body, r#"<text x="36" y="{}" font-size="16" font-weight="bold" fill="{line}">{}</text>"#, y + 26, escaped(&head));
    for (at, part) in wrapped(&text::link_text(link)).iter().enumerate() {
        let _ = writeln!(
            body,
            r##"<text x="36" y="{}" font-size="12" font-weight="{weight}" fill="#222222">{}</text>"##,
            y + 46 + at * 16,
            escaped(part)
        );
    }
}

/// From a link to the next one; with a cross if the next one is invalid.
fn draw_arrow(body: &mut String, y: usize, next: &ChainLink) {
    let broken = next.broken;
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

/// Line and fill colour. Only the link that breaks is red: the links below it are not at fault.
fn colours(link: &ChainLink) -> (&'static str, &'static str) {
    match link.security {
        Security::Secure => ("#1b6e2c", "#eaf6ec"),
        Security::Bogus if link.broken => ("#b3261e", "#fdecea"),
        Security::Bogus | Security::Insecure | Security::Indeterminate => ("#5f6368", "#f1f3f4"),
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
    use super::*;

    #[test]
    fn long_reasons_take_two_lines() {
        let lines = wrapped(&"word ".repeat(100));
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.chars().count() <= LINE_CHARS + 1) && lines[1].ends_with('…'));
    }
}
