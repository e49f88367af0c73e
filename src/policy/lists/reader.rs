//! Reads a list line by line: each line becomes rules, and each is accounted for.

use super::SkipReason;
use super::modifiers::Parts;
use super::name::ListName;
use super::tally::{Outcome, Tally};
use super::{Kind, Reach, Rule, adblock, plain};
use crate::config::{ListAction, ListMatch};
use crate::limits::lists::LIST_LINE_BYTES_MAX;

/// How the lines of a list are to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// What a name alone means.
    pub matching: ListMatch,
    pub action: ListAction,
    /// Lines may name a whole top-level domain.
    pub single_labels: bool,
}

impl Dialect {
    /// Whether a list of this dialect may have the rule for the name.
    fn permit(&self, parts: Parts, name: &ListName) -> Result<Parts, SkipReason> {
        let rewrites = parts.detail.as_ref().is_some_and(|detail| detail.rewrite.is_some());
        match () {
            () if name.is_single_label() && !self.single_labels => Err(SkipReason::SingleLabel),
            // What lets a name through gives it no other answer.
            () if rewrites && self.action == ListAction::Allow => Err(SkipReason::Modifier),
            () => Ok(parts),
        }
    }
}

/// Reads the lines of one list.
pub struct ListReader {
    dialect: Dialect,
    name: ListName,
    tally: Tally,
}

impl ListReader {
    pub fn new(dialect: Dialect) -> ListReader {
        ListReader { dialect, name: ListName::new(), tally: Tally::default() }
    }

    /// The account of all lines so far.
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    /// Takes one line without its end; each rule goes to `each`.
    pub fn line(&mut self, line: &[u8], each: &mut dyn FnMut(Rule<'_>)) {
        let ListReader { dialect, name, tally } = self;
        let line = if tally.lines == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let line = line.trim_ascii();
        if line.is_empty() {
            return tally.count(Outcome::Empty);
        }
        // `[Adblock Plus 2.0]` is the title of a list.
        if matches!(line[0], b'#' | b'!') || (line[0] == b'[' && line.ends_with(b"]")) {
            return tally.count(Outcome::Comment);
        }
        if line.len() > LIST_LINE_BYTES_MAX {
            tally.note(SkipReason::TooLong, line);
            return tally.count(Outcome::Skipped);
        }
        let matching = if dialect.matching == ListMatch::Subtree { Reach::NameAndBelow } else { Reach::Name };
        let allows = dialect.action == ListAction::Allow;
        if adblock::is_rule(line) {
            let outcome = match adblock::rule(line, matching, name).and_then(|parts| dialect.permit(parts, name)) {
                Err(reason) => {
                    tally.note(reason, line);
                    Outcome::Skipped
                }
                Ok(parts) => {
                    let kind = match (allows, parts.is_exception, parts.is_important) {
                        (true, _, _) => Kind::Allow,
                        (false, false, false) => Kind::Block,
                        (false, false, true) => Kind::ImportantBlock,
                        (false, true, false) => Kind::Exception,
                        (false, true, true) => Kind::ImportantException,
                    };
                    each(Rule { name: name.wire(), reach: parts.reach, kind, cancels: parts.cancels, detail: parts.detail });
                    if parts.is_exception { Outcome::Exception } else { Outcome::Blocked }
                }
            };
            return tally.count(outcome);
        }
        let kind = if allows { Kind::Allow } else { Kind::Block };
        let mut outcome = Outcome::Skipped;
        plain::names(line, matching, name, &mut |read| match read {
            Ok((name, _)) if name.is_single_label() && !dialect.single_labels => tally.note(SkipReason::SingleLabel, line),
            Ok((name, reach)) => {
                outcome = Outcome::Blocked;
                each(Rule { name: name.wire(), reach, kind, cancels: false, detail: None });
            }
            Err(reason) => tally.note(reason, line),
        });
        tally.count(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Found, ListId, ListSet, ListVerdict, Lists, Rewrite};
    use super::*;
    use crate::record::{Name, Rcode, Rtype};

    const PLAIN: Dialect = Dialect { matching: ListMatch::Exact, action: ListAction::Block, single_labels: false };

    /// One list, and its account.
    fn read(dialect: Dialect, text: &[u8]) -> (Lists, Tally) {
        let mut builder = Builder::new(vec!["a".to_owned()]);
        let mut reader = ListReader::new(dialect);
        text.split(|octet| *octet == b'\n').for_each(|line| reader.line(line, &mut |rule| builder.add(ListId(0), &rule)));
        let tally = reader.into_tally();
        let sum = tally.blocked + tally.exceptions + tally.comments + tally.empty + tally.skipped;
        assert_eq!(sum, tally.lines, "each line is accounted for once: {tally:?}");
        (builder.finish(), tally)
    }

    fn find(lists: &Lists, name: &str, rtype: Rtype) -> Found {
        lists.find(Name::parse(name).expect("a name").as_wire(), rtype)
    }

    /// Which of the names are blocked.
    fn blocked<'n>(lists: &Lists, names: &[&'n str]) -> Vec<&'n str> {
        let is = |name: &&&str| find(lists, name, Rtype::A).verdict(ListSet::ALL) == ListVerdict::Blocked(ListId(0));
        names.iter().filter(is).copied().collect()
    }

    const NAMES: [&str; 4] = ["a.example", "x.a.example", "y.x.a.example", "b.example"];

    /// Each row: a line, and what it blocks of the names above.
    #[test]
    fn each_form_blocks_what_it_says() {
        for (line, expected) in [
            ("a.example", &NAMES[..1]),
            ("A.Example.", &NAMES[..1]),
            ("a.example # a comment", &NAMES[..1]),
            ("a.example#a comment", &NAMES[..1]),
            ("a.example\tb.example\r", &["a.example", "b.example"]),
            ("\u{feff}a.example", &NAMES[..1]),
            ("*.a.example", &NAMES[1..3]),
            ("0.0.0.0 a.example b.example #x.a.example", &["a.example", "b.example"]),
            ("::1\ta.example", &NAMES[..1]),
            ("fe80::1%lo0 localhost", &[]),
            ("127.0.0.1 localhost a.example", &NAMES[..1]),
            ("192.0.2.1 a.example", &[]),
            ("||a.example^", &NAMES[..3]),
            ("||A.example.^", &NAMES[..3]),
            ("||a.example^ # why", &NAMES[..3]),
            ("||a.example^|", &NAMES[..3]),
            ("||*.a.example^", &NAMES[1..3]),
            ("|a.example^", &NAMES[..1]),
            ("a.example$important", &NAMES[..1]),
            ("||a.example^$important", &NAMES[..3]),
            ("||example^$denyallow=a.example|c.example", &[]),
            ("||a.example^$denyallow=x.a.example", &NAMES[..1]),
            ("||a.example^$dnstype=A|AAAA", &NAMES[..3]),
            ("||a.example^$dnstype=AAAA", &[]),
            ("||a.example^$dnstype=~A", &[]),
            ("||a.example^$dnstype=~AAAA", &NAMES[..3]),
            // Never widened.
            ("||a.example", &[]),
            ("||a.example^path", &[]),
            ("||a.example/path^", &[]),
            ("||a.*.example^", &[]),
            ("||a.example^$third-party", &[]),
            ("||a.example^$important,third-party", &[]),
            ("||a.example^$dnstype=A|~AAAA", &[]),
            ("||a.example^$", &[]),
            ("||ga^$domain=~a.example", &[]),
            ("a.example^", &[]),
            ("example", &[]),
            ("||example^", &[]),
            ("*.example", &[]),
            ("a.example##.banner", &[]),
            ("a.example#@#.banner", &[]),
            ("a.example#?#div", &[]),
            ("a.example$$script", &[]),
            ("https://a.example/", &[]),
            ("/a.example/", &[]),
            ("/^a[.]example$/$important", &[]),
            ("@@||a.example^", &[]),
            ("! ||a.example^", &[]),
            ("#||a.example^", &[]),
            ("[Adblock Plus 2.0]", &[]),
            ("<html>", &[]),
            ("192.0.2.1", &[]),
            ("||192.0.2.1^", &[]),
            ("$important", &[]),
            ("@@", &[]),
            ("||^", &[]),
            ("|", &[]),
        ] {
            assert_eq!(blocked(&read(PLAIN, line.as_bytes()).0, &NAMES), expected, "{line}");
        }
        let subtree = Dialect { matching: ListMatch::Subtree, ..PLAIN };
        assert_eq!(blocked(&read(subtree, b"a.example").0, &NAMES), NAMES[..3]);
        assert_eq!(blocked(&read(subtree, b"0.0.0.0 a.example").0, &NAMES), NAMES[..1], "a hosts line is for hosts");
        let single = Dialect { single_labels: true, ..PLAIN };
        assert_eq!(blocked(&read(single, b"||example^$denyallow=a.example").0, &NAMES), NAMES[3..]);
    }

    #[test]
    fn exceptions_importance_and_other_answers() {
        let of = |text: &str, name: &str| find(&read(PLAIN, text.as_bytes()).0, name, Rtype::A).verdict(ListSet::ALL);
        let (list, name) = (ListId(0), "x.a.example");
        assert_eq!(of("||a.example^\n@@||x.a.example^", name), ListVerdict::Allowed(list));
        assert_eq!(of("||a.example^$important\n@@||x.a.example^", name), ListVerdict::Blocked(list));
        assert_eq!(of("||a.example^$important\n@@||x.a.example^$important", name), ListVerdict::Allowed(list));
        let rewritten = |to: Rewrite| ListVerdict::Rewritten(list, to);
        let address = |text: &str| text.parse().expect("an address");
        for (to, expected) in [
            ("NXDOMAIN", rewritten(Rewrite::Rcode(Rcode::NXDOMAIN))),
            ("NOERROR;;", rewritten(Rewrite::Rcode(Rcode::NOERROR))),
            ("192.0.2.1", rewritten(Rewrite::Addresses(vec![address("192.0.2.1")]))),
            ("NOERROR;AAAA;2001:db8::1", rewritten(Rewrite::Addresses(vec![address("2001:db8::1")]))),
            ("c.example", rewritten(Rewrite::Alias(Name::parse("c.example").expect("a name")))),
            ("NOERROR;CNAME;c.example", rewritten(Rewrite::Alias(Name::parse("c.example").expect("a name")))),
            ("NOERROR;MX;10 c.example", ListVerdict::Pass),
            ("", ListVerdict::Pass),
        ] {
            assert_eq!(of(&format!("||a.example^$dnsrewrite={to}"), name), expected, "{to}");
        }
        let two = "||a.example^$dnsrewrite=192.0.2.1\n||a.example^$dnsrewrite=192.0.2.2";
        assert_eq!(of(two, name), rewritten(Rewrite::Addresses(vec![address("192.0.2.1"), address("192.0.2.2")])));
        let allow = Dialect { action: ListAction::Allow, ..PLAIN };
        let (lists, _) = read(allow, b"||a.example^");
        assert_eq!(find(&lists, name, Rtype::A).verdict(ListSet::ALL), ListVerdict::Allowed(list));
    }

    #[test]
    fn skipped_lines_are_counted_with_their_reason_and_the_first_examples() {
        let text = "ok.example\n192.0.2.1\n||x.example^$popup\n||y.example^$popup\n||z.example^$popup\n||w.example^$popup\n\n# c\n";
        let (_, tally) = read(PLAIN, text.as_bytes());
        assert_eq!((tally.lines, tally.blocked, tally.skipped, tally.empty, tally.comments), (9, 1, 5, 2, 1));
        assert_eq!(tally.reasons[&SkipReason::Address].examples, [(2, "192.0.2.1".to_owned())]);
        let modifiers = &tally.reasons[&SkipReason::Modifier];
        assert_eq!((modifiers.count, modifiers.examples.len(), modifiers.examples[0].0), (4, 3, 3));
        let (_, tally) = read(PLAIN, &vec![b'a'; 1 << 20]);
        assert_eq!((tally.skipped, tally.reasons[&SkipReason::TooLong].count), (1, 1));
        assert!(tally.reasons[&SkipReason::TooLong].examples[0].1.len() <= 120);
    }
}
