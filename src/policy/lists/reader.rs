//! Reads a list line by line: each line becomes rules, and each is accounted for.

use super::modifiers::Parts;
use super::name::ListName;
use super::rpz::Zone;
use super::tally::{Outcome, SkipReason, Tally};
use super::{Kind, Reach, Rule, adblock, dnsmasq, plain, unbound};
use crate::config::{ListAction, ListFormat, ListMatch};
use crate::limits::lists::LIST_LINE_BYTES_MAX;

/// How the lines of a list are to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dialect {
    pub format: ListFormat,
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

    fn kind(&self, parts: &Parts) -> Kind {
        match (self.action, parts.is_exception, parts.is_important) {
            (ListAction::Allow, _, _) => Kind::Allow,
            (ListAction::Block, false, false) => Kind::Block,
            (ListAction::Block, false, true) => Kind::ImportantBlock,
            (ListAction::Block, true, false) => Kind::Exception,
            (ListAction::Block, true, true) => Kind::ImportantException,
        }
    }
}

/// The form of one line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Names alone, or behind an address.
    Plain,
    Adblock,
    Dnsmasq,
    Unbound,
    Record,
}

/// Reads the lines of one list.
pub struct ListReader {
    dialect: Dialect,
    name: ListName,
    tally: Tally,
    /// Of a list that has turned out to be a zone.
    zone: Option<Zone>,
    is_web_page: bool,
}

impl ListReader {
    pub fn new(dialect: Dialect) -> ListReader {
        let zone = (dialect.format == ListFormat::Rpz).then(Zone::default);
        ListReader { dialect, name: ListName::new(), tally: Tally::default(), zone, is_web_page: false }
    }

    /// Is it no list, but the page of a web server, such as one that says why there is no list?
    pub fn is_web_page(&self) -> bool {
        self.is_web_page
    }

    /// The account of all lines so far.
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    /// Takes one line without its end; each rule goes to `each`.
    pub fn line(&mut self, raw: &[u8], each: &mut dyn FnMut(Rule<'_>)) {
        let raw = if self.tally.lines == 0 { raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw) } else { raw };
        let line = raw.trim_ascii();
        if line.is_empty() {
            return self.tally.count(Outcome::Empty);
        }
        if line.len() > LIST_LINE_BYTES_MAX {
            self.tally.note(SkipReason::TooLong, line);
            return self.tally.count(Outcome::Skipped);
        }
        // `[Adblock Plus 2.0]` is the title of a list.
        if matches!(line[0], b'#' | b'!' | b';') || (line[0] == b'[' && line.ends_with(b"]")) || unbound::is_title(line) {
            return self.tally.count(Outcome::Comment);
        }
        self.is_web_page |= self.is_first_with_content() && is_web_page(line);
        let form = self.form(line);
        if form == Form::Record && self.zone.is_none() {
            self.zone = Some(Zone::default());
        }
        let ListReader { dialect, name, tally, zone, .. } = self;
        let matching = if dialect.matching == ListMatch::Subtree { Reach::NameAndBelow } else { Reach::Name };
        let mut outcome = Outcome::Skipped;
        let mut take =
            |said: Result<(&ListName, Parts), SkipReason>| match said.and_then(|(name, parts)| Ok((name, dialect.permit(parts, name)?))) {
                Err(reason) => tally.note(reason, line),
                Ok((name, parts)) => {
                    outcome = if parts.is_exception { Outcome::Exception } else { Outcome::Blocked };
                    let kind = dialect.kind(&parts);
                    each(Rule { name: name.wire(), reach: parts.reach, kind, cancels: parts.cancels, detail: parts.detail });
                }
            };
        match (form, zone) {
            (Form::Record, Some(zone)) => {
                if !zone.line(raw, name, &mut take) {
                    outcome = Outcome::Comment;
                }
            }
            (Form::Adblock, _) => {
                let said = adblock::rule(line, matching, name);
                take(said.map(|parts| (&*name, parts)));
            }
            (Form::Dnsmasq, _) => dnsmasq::statement(line, name, &mut take),
            (Form::Unbound, _) => unbound::statement(line, name, &mut take),
            (Form::Plain | Form::Record, _) => plain::names(line, matching, name, &mut take),
        }
        tally.count(outcome);
    }

    fn is_first_with_content(&self) -> bool {
        let Tally { lines, comments, empty, .. } = self.tally;
        lines == comments + empty
    }

    fn form(&self, line: &[u8]) -> Form {
        match self.dialect.format {
            ListFormat::Hosts | ListFormat::Domains => Form::Plain,
            ListFormat::Dnsmasq => Form::Dnsmasq,
            ListFormat::Unbound => Form::Unbound,
            ListFormat::Rpz => Form::Record,
            ListFormat::Auto if self.zone.is_some() => Form::Record,
            ListFormat::Auto if self.is_first_with_content() && super::rpz::is_record(line) => Form::Record,
            ListFormat::Auto if dnsmasq::is_statement(line) => Form::Dnsmasq,
            ListFormat::Auto if unbound::is_statement(line) => Form::Unbound,
            ListFormat::Auto | ListFormat::Adblock if adblock::is_rule(line) => Form::Adblock,
            ListFormat::Auto | ListFormat::Adblock => Form::Plain,
        }
    }
}

fn is_web_page(line: &[u8]) -> bool {
    [&b"<!doctype"[..], b"<!--", b"<html", b"<head", b"<?xml", b"<body"]
        .iter()
        .any(|start| line.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start)))
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Found, ListId, ListSet, ListVerdict, Lists, Rewrite};
    use super::*;
    use crate::record::{Name, Rcode, Rtype};

    const PLAIN: Dialect =
        Dialect { format: ListFormat::Auto, matching: ListMatch::Exact, action: ListAction::Block, single_labels: false };

    /// One list, and its account.
    fn read(dialect: Dialect, text: &[u8]) -> (Lists, Tally) {
        let empty = Lists::default();
        let mut builder = Builder::new(vec!["a".to_owned()], [1, 2], &empty, vec![None]);
        let mut reader = ListReader::new(dialect);
        assert!(builder.next_round());
        text.split(|octet| *octet == b'\n').for_each(|line| reader.line(line, &mut |rule| builder.add(ListId(0), &rule)));
        assert!(!builder.next_round());
        let tally = reader.into_tally();
        let sum = tally.blocked + tally.exceptions + tally.comments + tally.empty + tally.skipped;
        assert_eq!(sum, tally.lines, "each line is accounted for once: {tally:?}");
        (builder.finish().expect("few names"), tally)
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
            // A sentence, and a line of another form: no name in it is meant to be blocked.
            ("Error 503: please see a.example for help", &[]),
            ("a.example is on b.example", &[]),
            ("x.b.example\na.example CNAME rpz-passthru.", &[]),
            ("a.example b.example # both of example", &["a.example", "b.example"]),
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
            ("||a.example^$badfilter", &[]),
            ("||a.example^\n||a.example^$badfilter", &[]),
            ("||a.example^\n|a.example^$badfilter", &NAMES[..3]),
            ("||a.example^$important\n||a.example^$badfilter", &NAMES[..3]),
            ("address=/a.example/", &NAMES[..3]),
            ("address=/a.example/b.example/0.0.0.0", &NAMES),
            ("address=/a.example/#", &NAMES[..3]),
            ("address=/*.a.example/::", &NAMES[1..3]),
            ("address=/a.example/192.0.2.1", &[]),
            ("local=/a.example/", &NAMES[..3]),
            ("server=/a.example/", &NAMES[..3]),
            ("server=/a.example/192.0.2.1", &[]),
            ("local=/a.example/\nserver=/a.example/#", &[]),
            ("address=/#/0.0.0.0", &[]),
            ("address=/example/0.0.0.0", &[]),
            ("server:\n  local-zone: \"a.example.\" always_null", &NAMES[..3]),
            ("local-zone: a.example redirect", &NAMES[..3]),
            ("local-zone: \"a.example\" transparent", &[]),
            ("local-zone: \"a.example\" static # x", &NAMES[..3]),
            ("local-data: \"a.example. 60 IN A 0.0.0.0\"", &NAMES[..1]),
            ("local-data: 'a.example A 192.0.2.1'", &[]),
            ("local-data-ptr: \"192.0.2.1 a.example\"", &[]),
            ("a.example CNAME .", &NAMES[..1]),
            ("*.a.example 300 IN CNAME *.", &NAMES[1..3]),
            ("$TTL 300\n@ SOA a. b. (1\n 2 3\n 4 5)\n@ NS a.\na.example CNAME . ; why\n\tA 0.0.0.0\nb.example A 192.0.2.1", &NAMES[..1]),
            (
                "$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\nb.example.rpz.test. CNAME .\nx.a.example. CNAME .",
                &["a.example", "b.example"],
            ),
            ("$ORIGIN example.rpz.test.\nrpz.test. SOA a. b. 1 2 3 4 5\na CNAME .", &NAMES[..1]),
            ("a.example CNAME .\n32.1.2.0.192.rpz-ip CNAME .\nb.example CNAME rpz-tcp-only.", &NAMES[..1]),
            ("@@", &[]),
            ("||^", &[]),
            ("|", &[]),
        ] {
            assert_eq!(blocked(&read(PLAIN, line.as_bytes()).0, &NAMES), expected, "{line}");
        }
        let subtree = Dialect { matching: ListMatch::Subtree, ..PLAIN };
        assert_eq!(blocked(&read(subtree, b"a.example").0, &NAMES), NAMES[..3]);
        assert_eq!(blocked(&read(subtree, b"0.0.0.0 a.example").0, &NAMES), NAMES[..1], "a hosts line is for hosts");
        let alike = b"local-finders.example\nserver.example\naddress.example\nlocal.example\nsoa.example\ncname.example";
        assert_eq!(read(PLAIN, alike).1.blocked, 6, "names that look like statements");
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
