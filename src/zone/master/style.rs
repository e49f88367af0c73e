//! A new line of a master file is written as the lines around it are: the same columns, the same elisions.

use super::parser::head;
use crate::record::{Lexer, Name, Token};

/// Where a tab leads to.
const TAB_STOP: usize = 8;

/// The fields of an entry that says a record.
pub(super) struct Fields<'t> {
    pub(super) owner: Option<Token<'t>>,
    pub(super) ttl: Option<Token<'t>>,
    pub(super) class: Option<Token<'t>>,
    pub(super) rtype: Token<'t>,
    pub(super) data: Vec<Token<'t>>,
}

impl<'t> Fields<'t> {
    /// `text` is that of one entry.
    pub(super) fn of(text: &'t [u8]) -> Option<Fields<'t>> {
        let mut tokens = Vec::new();
        let entry = Lexer::new(text).next_entry(&mut tokens).ok()??;
        let owner = if entry.indented { None } else { Some(*tokens.first()?) };
        let rest = &tokens[usize::from(!entry.indented)..];
        let used = head(rest).ok()?.used;
        let (before, data) = rest.split_at(used);
        let (rtype, before) = before.split_last()?;
        let is_ttl = |token: &&Token<'_>| token.raw.first().is_some_and(u8::is_ascii_digit);
        let (ttl, class) = (before.iter().find(is_ttl).copied(), before.iter().find(|token| !is_ttl(token)).copied());
        Some(Fields { owner, ttl, class, rtype: *rtype, data: data.to_vec() })
    }

    /// The first field behind the owner.
    pub(super) fn first(&self) -> Token<'t> {
        let head = [self.ttl, self.class, Some(self.rtype)];
        head.into_iter().flatten().min_by_key(|token| token.at).unwrap_or(self.rtype)
    }
}

/// Where a field stands in the text, quotes included.
pub(super) fn span(token: &Token<'_>) -> std::ops::Range<usize> {
    let quote = usize::from(token.quoted);
    token.at - quote..token.at + token.raw.len() + quote
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Owner,
    Ttl,
    Class,
    Type,
    Data,
}

/// A field of a neighbour: the column where it begins, and the white space before it.
struct Place {
    slot: Slot,
    column: usize,
    is_gap_wide: bool,
    has_tab: bool,
}

/// Where a field of a new line begins; 0: behind the field before it.
struct Column {
    slot: Slot,
    at: usize,
    has_tab: bool,
}

/// How records are written at one place of a file.
pub(super) struct Style {
    columns: Vec<Column>,
    has_tabs: bool,
    pub(super) writes_ttl: bool,
    class: Option<String>,
    is_class_first: bool,
    is_absolute: bool,
}

impl Style {
    /// `neighbours`: entries that say records, the nearest first.
    pub(super) fn of(neighbours: &[&[u8]]) -> Style {
        let fields: Vec<Fields<'_>> = neighbours.iter().filter_map(|text| Fields::of(text)).collect();
        let places: Vec<Vec<Place>> = fields.iter().zip(neighbours).map(|(fields, text)| places(fields, text)).collect();
        let Some(nearest) = fields.first() else {
            return Style {
                columns: Vec::new(),
                has_tabs: false,
                writes_ttl: true,
                class: None,
                is_class_first: false,
                is_absolute: false,
            };
        };
        let has_column = |slot: Slot, column: usize| {
            places.iter().flatten().any(|place| place.slot == slot && place.column == column && place.is_gap_wide)
        };
        let columns = places.first().into_iter().flatten().map(|place| {
            let at = if has_column(place.slot, place.column) { place.column } else { 0 };
            Column { slot: place.slot, at, has_tab: place.has_tab }
        });
        let columns = columns.collect();
        let written_owner = fields.iter().filter_map(|fields| fields.owner).find(|owner| owner.raw != b"@");
        Style {
            columns,
            has_tabs: places.first().is_some_and(|places| places.iter().any(|place| place.has_tab)),
            writes_ttl: nearest.ttl.is_some(),
            class: nearest.class.map(|class| String::from_utf8_lossy(class.raw).into_owned()),
            is_class_first: nearest.class.zip(nearest.ttl).is_some_and(|(class, ttl)| class.at < ttl.at),
            is_absolute: written_owner.is_some_and(|owner| ends_with_dot(owner.raw)),
        }
    }

    /// The owner as it is written here; `origin` is a wire name.
    pub(super) fn owner(&self, owner: &Name, origin: &[u8]) -> String {
        if self.is_absolute { owner.to_string() } else { relative(owner, origin) }
    }

    /// A whole line, without its end. The owner, the TTL or both may be elided.
    pub(super) fn line(&self, owner: Option<&str>, ttl: Option<u32>, rtype: &str, data: &str) -> String {
        let ttl = ttl.map(|ttl| ttl.to_string());
        let class = (Slot::Class, self.class.as_deref());
        let middle = match self.is_class_first {
            true => [class, (Slot::Ttl, ttl.as_deref())],
            false => [(Slot::Ttl, ttl.as_deref()), class],
        };
        let mut line = owner.unwrap_or_default().to_owned();
        for (slot, text) in middle.into_iter().chain([(Slot::Type, Some(rtype)), (Slot::Data, Some(data))]) {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            let column = self.columns.iter().find(|column| column.slot == slot);
            let (at, has_tab) = column.map_or((0, self.has_tabs), |column| (column.at, column.has_tab));
            pad(&mut line, at, has_tab);
            line.push_str(text);
        }
        line
    }
}

/// White space up to a column, and at least one character of it.
pub(super) fn pad(line: &mut String, column: usize, has_tabs: bool) {
    let mut at = column_at_end(line.as_bytes());
    if at >= column {
        line.push(if has_tabs { '\t' } else { ' ' });
        return;
    }
    while has_tabs && at < column && (at / TAB_STOP + 1) * TAB_STOP <= column {
        line.push('\t');
        at = (at / TAB_STOP + 1) * TAB_STOP;
    }
    line.extend(std::iter::repeat_n(' ', column - at));
}

/// As a terminal shows it.
pub(super) fn column_at_end(line: &[u8]) -> usize {
    // An octet inside a character of UTF-8 takes no column of its own.
    line.iter().fold(0, |column, octet| match octet {
        b'\t' => (column / TAB_STOP + 1) * TAB_STOP,
        0x80..0xc0 => column,
        _ => column + 1,
    })
}

fn places(fields: &Fields<'_>, text: &[u8]) -> Vec<Place> {
    let mut found: Vec<(Slot, Token<'_>)> = vec![(Slot::Type, fields.rtype)];
    let others =
        [(Slot::Owner, fields.owner), (Slot::Ttl, fields.ttl), (Slot::Class, fields.class), (Slot::Data, fields.data.first().copied())];
    found.extend(others.into_iter().filter_map(|(slot, token)| Some((slot, token?))));
    found.sort_unstable_by_key(|(_, token)| token.at);
    let mut end = 0;
    let mut places = Vec::new();
    for (slot, token) in found.into_iter().take_while(|(_, token)| token.line == 1) {
        let at = span(&token);
        let gap = text.get(end..at.start).unwrap_or_default();
        let has_tab = gap.contains(&b'\t');
        // `( 1 ; serial`: not only white space.
        let is_plain = gap.iter().all(|octet| matches!(octet, b' ' | b'\t'));
        let is_gap_wide = is_plain && (gap.len() > 1 || has_tab);
        places.push(Place { slot, column: column_at_end(&text[..at.start]), is_gap_wide, has_tab });
        end = at.end;
    }
    places
}

fn ends_with_dot(raw: &[u8]) -> bool {
    let escapes = raw.iter().rev().skip(1).take_while(|octet| **octet == b'\\').count();
    raw.ends_with(b".") && escapes % 2 == 0
}

/// A name as it is written in the master file of its zone.
pub fn relative_name(name: &Name, zone: &Name) -> String {
    relative(name, zone.as_wire())
}

/// The shortest form of a name where `origin` is in force.
pub(super) fn relative(name: &Name, origin: &[u8]) -> String {
    let Ok(origin) = Name::from_wire(origin) else { return name.to_string() };
    if *name == origin {
        return "@".to_owned();
    }
    if !name.is_within(&origin) {
        return name.to_string();
    }
    let own = name.label_count() - origin.label_count();
    let first: Vec<u8> = name.labels().take(own).flat_map(|label| [&[label.len() as u8], label].concat()).chain([0]).collect();
    let text = Name::from_wire(&first).map_or_else(|_| name.to_string(), |first| first.to_string());
    text.strip_suffix('.').map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_like_its_neighbours() {
        let line = |neighbours: &[&str], owner: Option<&str>, ttl: Option<u32>| {
            let neighbours: Vec<&[u8]> = neighbours.iter().map(|text| text.as_bytes()).collect();
            Style::of(&neighbours).line(owner, ttl, "A", "192.0.2.9")
        };
        for (neighbours, owner, ttl, expected) in [
            (&["www A 192.0.2.1"][..], Some("mail"), None, "mail A 192.0.2.9"),
            (&["mailbox A 192.0.2.1"], Some("a"), None, "a A 192.0.2.9"),
            (&["www         A       192.0.2.1"], Some("mail"), None, "mail        A       192.0.2.9"),
            (&["longest-one A 192.0.2.1", "www         A 192.0.2.1"], Some("mail"), None, "mail        A 192.0.2.9"),
            (&["www\tIN\tA\t192.0.2.1"], Some("mail"), None, "mail\tIN\tA\t192.0.2.9"),
            (&["www\t\tIN\tA\t192.0.2.1"], Some("mail"), Some(60), "mail\t60\tIN\tA\t192.0.2.9"),
            (&["www 3600 in A 192.0.2.1"], Some("mail"), Some(60), "mail 60 in A 192.0.2.9"),
            (&["www IN 3600 A 192.0.2.1"], Some("mail"), Some(60), "mail IN 60 A 192.0.2.9"),
            (&["      AAAA 2001:db8::1"], None, None, "      A 192.0.2.9"),
            (&["\tAAAA 2001:db8::1"], Some("mail"), None, "mail\tA 192.0.2.9"),
            (&["www A 192.0.2.1"], None, Some(60), " 60 A 192.0.2.9"),
            (&[], Some("mail"), Some(60), "mail 60 A 192.0.2.9"),
        ] {
            assert_eq!(line(neighbours, owner, ttl), expected, "{neighbours:?}");
        }
    }

    #[test]
    fn names_are_as_short_as_their_neighbours() {
        let name = |text: &str| Name::parse(text).expect(text);
        for (given, origin, expected) in [
            ("example.org", "example.org", "@"),
            ("www.example.org", "example.org", "www"),
            ("a\\.b.www.example.org", "example.org", "a\\.b.www"),
            ("example.org", "www.example.org", "example.org."),
            ("example.org", ".", "example.org"),
        ] {
            assert_eq!(relative(&name(given), name(origin).as_wire()), expected);
        }
        assert!(ends_with_dot(b"a.") && !ends_with_dot(b"a\\.") && ends_with_dot(b"a\\\\.") && !ends_with_dot(b"a"));
        let style = Style::of(&[b"www.example.org. A 192.0.2.1"]);
        assert_eq!(style.owner(&name("mail.example.org"), name("example.org").as_wire()), "mail.example.org.");
    }
}
