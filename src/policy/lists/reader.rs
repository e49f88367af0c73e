//! Reads a list line by line: each line becomes rules, and each is accounted for.

use super::detailed::{Admitted, DetailedCount};
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
    /// Lines may lead a name elsewhere: to an address of somebody, or to another name.
    pub redirects: bool,
}

impl Dialect {
    /// Whether a list of this dialect may have the rule for the name.
    fn permit(&self, parts: Parts, name: &ListName) -> Result<Parts, SkipReason> {
        let rewrite = parts.detail.as_ref().and_then(|detail| detail.rewrite.as_ref()).filter(|_| !parts.cancels);
        match rewrite {
            _ if name.is_single_label() && !self.single_labels => Err(SkipReason::SingleLabel),
            // What lets a name through gives it no other answer.
            Some(_) if self.action == ListAction::Allow => Err(SkipReason::AnswerOfAllowed),
            Some(rewrite) if !self.redirects && !rewrite.is_block() => Err(SkipReason::Redirect),
            Some(_) | None => Ok(parts),
        }
    }

    /// The kinds of the rules that a line makes. `$badfilter` in a list that lets names through cancels the rules of such lists and
    /// those of lists that block; in a list that blocks it leaves alone what is let through.
    fn kinds(&self, parts: &Parts) -> impl Iterator<Item = Kind> + use<> {
        let blocking = match (parts.is_exception, parts.is_important) {
            (false, false) => Kind::Block,
            (false, true) => Kind::ImportantBlock,
            (true, false) => Kind::Exception,
            (true, true) => Kind::ImportantException,
        };
        let allows = self.action == ListAction::Allow;
        let kinds = [allows.then_some(Kind::Allow), (!allows || parts.cancels).then_some(blocking)];
        kinds.into_iter().flatten()
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
    is_utf16: bool,
    detailed: DetailedCount,
}

impl ListReader {
    pub fn new(dialect: Dialect) -> ListReader {
        let zone = (dialect.format == ListFormat::Rpz).then(Zone::default);
        let (tally, detailed) = (Tally::default(), DetailedCount::default());
        ListReader { dialect, name: ListName::new(), tally, zone, is_web_page: false, is_utf16: false, detailed }
    }

    /// Are its lines not to be read, because it is in an encoding of two octets a character?
    pub fn is_utf16(&self) -> bool {
        self.is_utf16
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
        self.is_utf16 |= self.tally.lines == 0 && is_utf16(raw);
        let raw = if self.tally.lines == 0 { raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw) } else { raw };
        let line = raw.trim_ascii();
        if line.is_empty() {
            return self.tally.count(Outcome::Empty, None, line);
        }
        if line.len() > LIST_LINE_BYTES_MAX {
            return self.tally.count(Outcome::Skipped, Some(SkipReason::TooLong), line);
        }
        // `[Adblock Plus 2.0]` is the title of a list.
        if plain::is_comment(line) || (line[0] == b'[' && line.ends_with(b"]")) || unbound::is_title(line) {
            return self.tally.count(Outcome::Comment, None, line);
        }
        self.is_web_page |= self.is_first_with_content() && is_web_page(line);
        let form = self.form(line);
        if form == Form::Record && self.zone.is_none() {
            self.zone = Some(Zone::default());
        }
        let ListReader { dialect, name, tally, zone, detailed, .. } = self;
        let matching = if dialect.matching == ListMatch::Subtree { Reach::NameAndBelow } else { Reach::Name };
        let (mut outcome, mut why) = (Outcome::Skipped, None);
        let mut take =
            |said: Result<(&ListName, Parts), SkipReason>| match said.and_then(|(name, parts)| Ok((name, dialect.permit(parts, name)?))) {
                Err(reason) => _ = why.get_or_insert(reason),
                Ok((name, Parts { is_exception, reach, is_important, cancels, detail })) => {
                    let parts = Parts { is_exception, reach, is_important, cancels, detail: None };
                    for kind in dialect.kinds(&parts) {
                        let rule = Rule { name: name.wire(), reach, kind, cancels, detail: detail.clone() };
                        match detailed.admit(&rule) {
                            Admitted::New => each(rule),
                            Admitted::Known => {}
                            Admitted::TooMany => {
                                why.get_or_insert(SkipReason::TooDetailed);
                                continue;
                            }
                        }
                        outcome = if is_exception || cancels { Outcome::Exception } else { Outcome::Blocked };
                    }
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
        tally.count(outcome, why, line);
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

/// By the byte order mark, or by the NUL that is half of each ASCII character.
fn is_utf16(first_line: &[u8]) -> bool {
    matches!(first_line, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..])
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
        Dialect { format: ListFormat::Auto, matching: ListMatch::Exact, action: ListAction::Block, single_labels: false, redirects: true };

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
            ("a.example ! b.example", &NAMES[..1]),
            ("a.example ; b.example", &NAMES[..1]),
            ("a.example // b.example", &NAMES[..1]),
            ("a.example //b.example", &NAMES[..1]),
            ("0.0.0.0 a.example ! b.example", &NAMES[..1]),
            ("0.0.0.0 a.example // b.example", &NAMES[..1]),
            ("||a.example^ // b.example", &NAMES[..3]),
            ("||a.example^ ; b.example", &NAMES[..3]),
            ("// a.example b.example", &[]),
            ("//a.example", &[]),
            ("0 a.example b.example", &["a.example", "b.example"]),
            ("127.1 a.example", &NAMES[..1]),
            ("127.0.1\ta.example", &NAMES[..1]),
            ("1 a.example", &[]),
            ("127.16777216 a.example", &[]),
            ("127 a.example", &[]),
            ("127.0.0.1 is the address of a.example", &[]),
            ("127.0.0.1 machine machine.lan a.example", &NAMES[..1]),
            ("127.0.0.1 localhost. LOCALHOST6 ip6-allhosts broadcasthost a.example", &NAMES[..1]),
            ("this is a hosts file for a.example", &[]),
            ("\u{ff41}.EXAMPLE", &NAMES[..1]),
            ("\u{ff41}\u{ff0e}\u{ff25}xample", &NAMES[..1]),
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
            ("address=/a.example/ 192.0.2.1", &[]),
            ("address=/a.example/ # why", &NAMES[..3]),
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
            ("a.example CNAME .\nb.example CNAME", &NAMES[..1]),
            ("a.example CNAME .\nb.example CNAME . x", &NAMES[..1]),
            ("a.example CNAME .\nb.example A ::", &NAMES[..1]),
            ("a.example CNAME .\nb.example AAAA ::", &["a.example", "b.example"]),
            ("@ SOA a. b. (\na.example CNAME .\n1 2 3\nb.example CNAME .", &["b.example"]),
            ("@ SOA a. b. ( 1\n 2 3 4\n 5 )\nb.example CNAME .", &["b.example"]),
            ("This CNAME list is for all\nb.example", &["b.example"]),
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
            ("nxdomain", rewritten(Rewrite::Rcode(Rcode::NXDOMAIN))),
            ("Refused", rewritten(Rewrite::Rcode(Rcode::REFUSED))),
            ("noerror;;", rewritten(Rewrite::Rcode(Rcode::NOERROR))),
            ("noerror;a;192.0.2.1", rewritten(Rewrite::Addresses(vec![address("192.0.2.1")]))),
            ("NOERROR;MX;10 c.example", ListVerdict::Pass),
            ("NOERROR;AAAA;192.0.2.1", ListVerdict::Pass),
            ("NOERROR;A;2001:db8::1", ListVerdict::Pass),
            ("NXDOMAIN;A;192.0.2.1", ListVerdict::Pass),
            ("nxdomian", ListVerdict::Pass),
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

    /// Each row: the lines of a list that blocks and of one that allows, and what follows for a.example.
    #[test]
    fn rules_that_other_rules_cancel() {
        let (block, allow, none) = (ListVerdict::Blocked(ListId(0)), ListVerdict::Allowed(ListId(1)), ListVerdict::Pass);
        for (blocking, allowing, expected) in [
            ("||a.example^", "", &block),
            ("||a.example^\n||a.example^$badfilter", "", &none),
            ("||a.example^", "||a.example^$badfilter", &none),
            ("||a.example^$important", "||a.example^$important,badfilter", &none),
            ("||a.example^$important", "||a.example^$badfilter", &block),
            ("||a.example^$dnsrewrite=192.0.2.1", "||a.example^$dnsrewrite=192.0.2.1,badfilter", &none),
            ("||a.example^$dnsrewrite=192.0.2.1\n||a.example^$badfilter,dnsrewrite=192.0.2.1", "", &none),
            ("||a.example^$dnsrewrite=NXDOMAIN\n||a.example^$badfilter,dnsrewrite=nxdomain", "", &none),
            ("||a.example^$dnstype=A\n||a.example^$dnstype=A,badfilter", "", &none),
            // What is let through stays so, unless a list of the same kind says otherwise.
            ("||a.example^\n||a.example^$badfilter", "||a.example^", &allow),
            ("||a.example^", "||a.example^", &allow),
            ("|a.example^", "||a.example^\n||a.example^$badfilter", &block),
            ("|a.example^", "a.example", &allow),
        ] {
            let lists = crate::policy::lists_of(&[("block", false, blocking), ("allow", true, allowing)]);
            assert_eq!(find(&lists, "a.example", Rtype::A).verdict(ListSet::ALL), *expected, "{blocking:?} {allowing:?}");
        }
        // In a view without the list that cancels, nothing is cancelled.
        let both = [
            ("one", false, "||a.example^\n||b.example^$dnsrewrite=NXDOMAIN"),
            ("two", false, "||a.example^$badfilter\n||b.example^$dnsrewrite=NXDOMAIN,badfilter"),
        ];
        let lists = crate::policy::lists_of(&both);
        for (in_force, is_blocked) in [(ListSet::ALL, false), (ListSet::of(ListId(0)), true), (ListSet::of(ListId(1)), false)] {
            for name in ["a.example", "x.a.example", "b.example"] {
                assert_eq!(find(&lists, name, Rtype::A).verdict(in_force) != ListVerdict::Pass, is_blocked, "{name} {in_force:?}");
            }
        }
    }

    #[test]
    fn important_answers_and_answers_of_several_lists() {
        let of = |texts: &[(&str, bool, &str)], in_force| match find(&crate::policy::lists_of(texts), "x.a.example", Rtype::A)
            .verdict(in_force)
        {
            ListVerdict::Pass => "pass".to_owned(),
            ListVerdict::Allowed(list) => format!("allowed {}", list.0),
            ListVerdict::Blocked(list) => format!("blocked {}", list.0),
            ListVerdict::Rewritten(list, Rewrite::Addresses(addresses)) => format!("{addresses:?} {}", list.0),
            ListVerdict::Rewritten(list, to) => format!("{to:?} {}", list.0),
        };
        for (one, two, expected) in [
            ("||a.example^$dnsrewrite=192.0.2.1", "@@||a.example^", "allowed 1"),
            ("||a.example^$dnsrewrite=192.0.2.1,important", "@@||a.example^", "[192.0.2.1] 0"),
            ("||a.example^$dnsrewrite=192.0.2.1,important", "@@||a.example^$important", "allowed 1"),
            ("||a.example^$dnsrewrite=192.0.2.1,important", "||a.example^$important", "[192.0.2.1] 0"),
            ("||a.example^$dnsrewrite=192.0.2.1", "||a.example^$important", "blocked 1"),
            ("||a.example^$dnsrewrite=192.0.2.1", "||a.example^", "[192.0.2.1] 0"),
            ("||a.example^$dnsrewrite=192.0.2.1", "||a.example^$dnsrewrite=192.0.2.2", "[192.0.2.1] 0"),
            ("||a.example^$dnsrewrite=192.0.2.1", "||x.a.example^$dnsrewrite=192.0.2.2", "[192.0.2.2] 1"),
            ("||a.example^$dnsrewrite=192.0.2.1,important", "||x.a.example^$dnsrewrite=192.0.2.2", "[192.0.2.1] 0"),
            ("||a.example^$dnsrewrite=192.0.2.1\n||x.a.example^$dnsrewrite=192.0.2.2", "", "[192.0.2.2] 0"),
        ] {
            assert_eq!(of(&[("one", false, one), ("two", false, two)], ListSet::ALL), expected, "{one} {two}");
        }
        let two = [("one", false, "||a.example^$dnsrewrite=192.0.2.1"), ("two", false, "||a.example^$dnsrewrite=192.0.2.2")];
        assert_eq!(of(&two, ListSet::of(ListId(1))), "[192.0.2.2] 1", "the answer of a list that is not in force hides no other");
    }

    /// What a list that others write may not say.
    #[test]
    fn a_list_that_may_not_redirect_still_blocks() {
        let dialect = Dialect { redirects: false, ..PLAIN };
        for line in [
            "||a.example^$dnsrewrite=192.0.2.1",
            "||a.example^$dnsrewrite=c.example",
            "|a.example^$dnsrewrite=NOERROR;CNAME;c.example",
            "address=/a.example/192.0.2.1",
            "local-data: \"a.example A 192.0.2.1\"",
            "a.example A 192.0.2.1\na.example CNAME c.example.",
            "x.example CNAME .\na.example CNAME c.example.",
            "x.example CNAME .\na.example AAAA 2001:db8::1",
        ] {
            let (lists, tally) = read(dialect, line.as_bytes());
            assert!(find(&lists, "a.example", Rtype::A).is_nothing(), "{line}");
            assert!(tally.reasons.contains_key(&SkipReason::Redirect) || line.starts_with("a.example A"), "{line}: {tally:?}");
            assert!(
                matches!(find(&read(PLAIN, line.as_bytes()).0, "a.example", Rtype::A).verdict(ListSet::ALL), ListVerdict::Rewritten(..))
                    || line.starts_with("a.example A")
            );
        }
        for line in [
            "||a.example^$dnsrewrite=NXDOMAIN",
            "||a.example^$dnsrewrite=0.0.0.0",
            "||a.example^$dnsrewrite=NOERROR;;",
            "address=/a.example/0.0.0.0",
            "local-data: \"a.example A 0.0.0.0\"",
            "x.example CNAME .\na.example CNAME *.",
        ] {
            assert!(!find(&read(dialect, line.as_bytes()).0, "a.example", Rtype::A).is_nothing(), "{line}");
        }
    }

    #[test]
    fn rules_with_details_are_bounded_and_the_rest_is_told() {
        let of_name = |range: std::ops::Range<usize>| {
            range.map(|at| format!("||a.example^$dnsrewrite=10.0.{}.{}\n", at / 256, at % 256)).collect::<String>()
        };
        let addresses = |lists: &Lists| match find(lists, "a.example", Rtype::A).verdict(ListSet::ALL) {
            ListVerdict::Rewritten(_, Rewrite::Addresses(addresses)) => addresses.len(),
            other => panic!("{other:?}"),
        };
        let (lists, tally) = read(PLAIN, (of_name(0..64) + &of_name(0..64)).as_bytes());
        assert_eq!((addresses(&lists), tally.blocked, tally.skipped), (64, 128, 0), "what is said twice is one rule: {tally:?}");
        let (lists, tally) = read(PLAIN, of_name(0..100).as_bytes());
        assert_eq!((addresses(&lists), tally.blocked, tally.reasons[&SkipReason::TooDetailed].count), (64, 64, 36));
        let mut count = super::super::detailed::DetailedCount::default();
        let detail = Some(Box::new(super::super::Detail { rewrite: Some(Rewrite::Rcode(Rcode::NXDOMAIN)), ..Default::default() }));
        let mut admitted = |at: usize| {
            let name = format!("{at:08}");
            count.admit(&Rule { name: name.as_bytes(), reach: Reach::Name, kind: Kind::Block, cancels: false, detail: detail.clone() })
        };
        let all = (0..crate::limits::lists::DETAILED_RULES_MAX + 10).filter(|at| admitted(*at) == Admitted::New).count();
        assert_eq!(all, crate::limits::lists::DETAILED_RULES_MAX);
    }

    /// One reason for each line without effect, however many words it has.
    #[test]
    fn each_line_has_one_reason() {
        let reason = |text: &str| {
            let (_, tally) = read(PLAIN, text.as_bytes());
            let mut last: Vec<(SkipReason, u64)> = tally.reasons.iter().map(|(reason, skipped)| (*reason, skipped.count)).collect();
            assert!(last.len() <= 1, "{text}: {last:?}");
            (last.pop(), tally.skipped)
        };
        for (text, expected) in [
            ("this is a list for a.example", Some((SkipReason::Sentence, 1))),
            ("127.0.0.1 is the address of a.example", Some((SkipReason::Sentence, 1))),
            ("0.0.0.0 one two", Some((SkipReason::Sentence, 1))),
            ("127.0.0.1 localhost broadcasthost", Some((SkipReason::OwnMachine, 1))),
            ("||a.example^$dnsrewrite=NOERROR;AAAA;192.0.2.1", Some((SkipReason::NoAnswer, 1))),
            ("||a.example^$third-party", Some((SkipReason::Modifier, 1))),
            ("a.example CNAME .\ngarbage", Some((SkipReason::NoRecord, 1))),
            ("a.example CNAME .\nmore garbage here", Some((SkipReason::NoRecord, 1))),
            ("a.example CNAME .\n$INCLUDE x", Some((SkipReason::NoRecord, 1))),
            ("a.example CNAME .\nb.example CNAME", Some((SkipReason::NoRecord, 1))),
            ("$TTL 1\n CNAME .", Some((SkipReason::NoName, 1))),
            ("a.example CNAME .\na.example TXT x", Some((SkipReason::OtherTrigger, 1))),
            ("$ORIGIN rpz.test.\na.example CNAME .\nr3.com. CNAME .", Some((SkipReason::OutsideZone, 1))),
            ("$TTL 1\n; comment\n@ SOA a. b. (\n 1 ; serial\n 2 3 4 5 )\n@ NS a.\n$ORIGIN x.\na.example. CNAME .", None),
        ] {
            assert_eq!(reason(text), (expected, expected.map_or(0, |(_, count)| count)), "{text}");
        }
        // A line of which some names have an effect is no line without one.
        let (_, tally) = read(PLAIN, b"0.0.0.0 a.example one 192.0.2.1");
        assert_eq!((tally.blocked, tally.skipped, tally.reasons.values().map(|skipped| skipped.count).sum::<u64>()), (1, 0, 1));
    }

    #[test]
    fn two_octets_a_character_are_seen() {
        let is_utf16 = |text: &[u8]| {
            let mut reader = ListReader::new(PLAIN);
            text.split(|octet| *octet == b'\n').for_each(|line| reader.line(line, &mut |_| {}));
            reader.is_utf16()
        };
        for text in [&b"\xff\xfea\0.\0b\0\n\0"[..], b"\xfe\xff\0a\0.\0b\0\n", b"a\0.\0b\0", b"\0a\0.\0b"] {
            assert!(is_utf16(text), "{text:x?}");
        }
        for text in [&b""[..], b"a", b"\na\0", b"\xef\xbb\xbfa.example", b"b\xc3\xbccher.example"] {
            assert!(!is_utf16(text), "{text:x?}");
        }
    }

    /// Origins below origins, of any length: no name is longer than a name, and the rest of the list stands.
    #[test]
    fn an_origin_is_no_longer_than_a_name() {
        let text = "$ORIGIN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(100_000) + "b CNAME .\na.example. CNAME .\n";
        let (lists, tally) = read(PLAIN, text.as_bytes());
        assert!(tally.reasons[&SkipReason::NoName].count > 99_000, "{tally:?}");
        assert_eq!(tally.blocked, 1, "{tally:?}");
        assert!(!find(&lists, "a.example", Rtype::A).is_nothing());
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
