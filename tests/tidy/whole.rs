//! Rules about the project as a whole: what files are to each other, and the figures that show where it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::Modules;
use super::{Source, named_folders, words};

/// A type with more is several types.
const METHODS_MAX: usize = 25;

/// The rooms of `resolve`, from the top: each imports only those behind it.
pub const ROOMS: &[&str] = &["question", "dnssec", "lookup", "iterate", "servers", "network", "delegation", "context", "reply"];

/// Each earns its place in the program itself, and not only in tests.
pub const PACKAGES: &[&str] = &["tokio", "lru", "hickory_proto", "clap"];

/// What a door may say that it knows nothing of, with the folders and the words that its code then does not name.
/// Phrases that are not here say something that no import shows.
const KNOWLEDGE: &[(&str, &[&str], &[&str])] = &[
    ("sockets", &[], &["UdpSocket", "TcpStream", "TcpListener", "UnixStream", "UnixListener", "socket2"]),
    ("files", &[], &["fs", "OpenOptions"]),
    ("clocks", &[], &["Clock", "Instant", "SystemTime"]),
    ("time", &[], &["Clock", "Instant", "SystemTime", "BootTime", "WallTime"]),
    ("time of day", &[], &["Clock", "SystemTime", "WallTime"]),
    ("the time of day", &[], &["Clock", "SystemTime", "WallTime"]),
    ("configuration", &["config"], &[]),
    ("messages", &["wire"], &[]),
    ("the cache", &["cache"], &[]),
    ("what is cached", &["cache"], &[]),
    ("zones", &["zone", "authority"], &[]),
    ("hosted zones", &["zone", "authority"], &[]),
    ("recursion", &["resolve"], &[]),
    ("the walk", &["resolve"], &[]),
    ("how names are resolved", &["resolve"], &[]),
    ("how a name is resolved", &["resolve"], &[]),
    ("DNSSEC", &["validate"], &[]),
    ("trust", &["validate"], &[]),
    ("access lists", &["policy"], &[]),
    ("DNS", &["record", "wire"], &[]),
];

pub fn circles(modules: &Modules) -> Vec<String> {
    modules.circles().iter().map(|files| format!("import each other in a circle: {}", joined(files))).collect()
}

fn joined(files: &BTreeSet<&str>) -> String {
    files.iter().copied().collect::<Vec<_>>().join(", ")
}

pub fn rooms_import_down(modules: &Modules) -> Vec<String> {
    // The file of the top, which stands beside the rooms, may import all of them.
    let place = |file: &str| {
        let room = file.strip_prefix("src/resolve/")?.split_once('/')?.0;
        Some(ROOMS.iter().position(|name| *name == room))
    };
    let mut complaints = Vec::new();
    for (file, used) in modules.edges() {
        let Some(own) = place(file) else { continue };
        let Some(own) = own else {
            complaints.push(format!("{file}: its room has no place in the order"));
            continue;
        };
        let upwards = |other: &str| match place(other) {
            Some(other) => other.is_some_and(|other| other < own),
            None => other.starts_with("src/resolve/") && !other.ends_with("/mod.rs"),
        };
        complaints
            .extend(used.into_iter().filter(|other| upwards(other)).map(|other| format!("{file} imports {other}, which stands above it")));
    }
    complaints
}

pub fn types_with_many_methods(modules: &Modules) -> Vec<String> {
    let many = modules.methods().into_iter().filter(|of| of.count > METHODS_MAX);
    many.map(|of| format!("{}: {} methods, more than {METHODS_MAX}", of.name, of.count)).collect()
}

pub fn types_in_several_folders(modules: &Modules) -> Vec<String> {
    let scattered = modules.methods().into_iter().filter(|of| of.folders.len() > 1);
    scattered.map(|of| format!("{}: methods in {:?}", of.name, of.folders)).collect()
}

/// The table of limits, which gives each its reason.
const TABLE: &str = "src/limits/";

/// A constant with one of these words in its name bounds something.
const BOUND_WORDS: &[&str] = &["MAX", "MIN", "MOST", "LEAST", "LIMIT", "LIMITS", "PER", "TRIES", "PATIENCE"];

/// Bounds that a protocol or a format fixes, and that nobody could choose otherwise. They stand where the format is read;
/// a bound that is not here is a limit.
const FIXED_BOUNDS: &[(&str, &str, &str)] = &[
    ("src/record/name.rs", "NAME_BYTES_MAX", "RFC 1035 2.3.4"),
    ("src/record/name.rs", "LABEL_BYTES_MAX", "RFC 1035 2.3.4"),
    ("src/record/text/read.rs", "RDATA_BYTES_MAX", "RFC 1035 3.2.1: RDLENGTH has 16 bits"),
    ("src/wire/writer.rs", "POINTER_MAX", "RFC 1035 4.1.4: a compression pointer has 14 bits"),
    ("src/zone/master/parser.rs", "TTL_MAX", "RFC 2181 8"),
    ("src/zone/zonemd.rs", "DIGEST_BYTES_MIN", "RFC 8976 2.2.4"),
    ("src/upstream/query.rs", "COOKIE_BYTES_MAX", "RFC 7873 4"),
    ("src/upstream/query.rs", "QUERY_BYTES_MAX", "the longest query that RFC 1035, 6891 and 7873 allow us to make"),
    ("src/cache/server_record.rs", "COOKIE_BYTES_MAX", "RFC 7873 4"),
    ("src/upstream/exchange.rs", "DATAGRAM_BYTES_MAX", "RFC 768: the length of a datagram has 16 bits"),
    ("src/server/priority.rs", "LEAST", "setpriority(2)"),
    ("src/validate/key.rs", "RSA_BITS_MIN", "RFC 5702 2"),
    ("src/validate/key.rs", "RSA_BITS_MAX", "RFC 5702 2"),
    ("src/validate/key.rs", "DER_BYTES_MAX", "X.690 and RFC 6605 4: two integers of 48 octets"),
    ("src/validate/small_rsa.rs", "LIMBS_MAX", "RFC 5702 2: keys below 1024 bits"),
    ("src/validate/set.rs", "RRSIG_BYTES_MAX", "RFC 4034 3.1"),
    ("src/validate/trust_point.rs", "QUERY_INTERVAL_MAX", "RFC 5011 2.3"),
    ("src/cache/table.rs", "HANDLES_MAX", "our own format: a handle has 24 bits"),
    ("src/cache/slab.rs", "IN_PAGE_BYTES_MAX", "our own format: a page"),
    ("src/cache/slab.rs", "BYTES_MAX", "our own format: as many pages as handles can name"),
    ("src/cache/persist.rs", "BLOCK_BYTES_MAX", "our own format: the largest size class of the slabs"),
];

/// A bound of our own choice is a limit, and stands in the table.
pub fn limits_elsewhere(sources: &[Source]) -> Vec<String> {
    let is_fixed = |(path, name): &(&str, &str)| FIXED_BOUNDS.iter().any(|(file, constant, _)| (file, constant) == (path, name));
    bounds(sources)
        .into_iter()
        .filter(|bound| !is_fixed(bound))
        .map(|(path, name)| format!("{path}: {name} is a limit, which belongs into {TABLE}"))
        .collect()
}

/// What is excused must still be there.
pub fn fixed_bounds_exist(sources: &[Source]) -> Vec<String> {
    let found = bounds(sources);
    let gone = FIXED_BOUNDS.iter().filter(|(path, name, _)| !found.contains(&(path, name)));
    gone.map(|(path, name, _)| format!("{path}: has no bound {name} that FIXED_BOUNDS would have to excuse")).collect()
}

/// File and name of each constant outside the table that is named for a bound.
fn bounds(sources: &[Source]) -> Vec<(&str, &str)> {
    let in_service = sources.iter().filter(|source| source.path.starts_with("src/") && !source.path.starts_with(TABLE));
    let mut found = Vec::new();
    for source in in_service.filter(|source| !source.is_of_tests()) {
        for line in source.code_in_service().lines().filter(|line| line.contains('=')) {
            let mut names = words(line).skip_while(|word| *word != "const").skip(1);
            let name = names.next().unwrap_or_default();
            if name.to_uppercase() == name && name.split('_').any(|part| BOUND_WORDS.contains(&part)) {
                found.push((source.path.as_str(), name));
            }
        }
    }
    found
}

pub fn packages_of_tests_only(sources: &[Source]) -> Vec<String> {
    let in_service: Vec<&str> =
        sources.iter().filter(|source| source.path.starts_with("src/") && !source.is_of_tests()).map(Source::code_in_service).collect();
    let is_used = |package: &str| in_service.iter().any(|code| code.contains(&format!("{package}::")));
    PACKAGES.iter().filter(|package| !is_used(package)).map(|package| format!("{package}: only tests use it")).collect()
}

pub fn doors_know_what_they_say(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for door in sources.iter().filter(|source| source.path.starts_with("src/") && source.stem() == "mod") {
        let folder = door.path.trim_end_matches("mod.rs");
        let said = disclaimed(&door.text);
        for (phrase, folders, names) in KNOWLEDGE.iter().filter(|(phrase, ..)| said.iter().any(|said| said == phrase)) {
            for file in sources.iter().filter(|source| source.path.starts_with(folder) && source.is_rust() && !source.is_of_tests()) {
                let code = file.code_in_service();
                let imported = named_folders(&Source::new(&file.path, code)).into_iter().filter(|found| folders.contains(&found.as_str()));
                let named = words(code).filter(|word| names.contains(word)).map(str::to_owned);
                let found: BTreeSet<String> = imported.chain(named).collect();
                complaints
                    .extend(found.iter().map(|found| format!("{}: names {found}, but {folder} knows nothing of {phrase}", file.path)));
            }
        }
    }
    complaints
}

/// Items that other files can reach and that nothing in the program names. The compiler finds each of them when it builds the
/// library without the feature `internals`; the lints must do that too, as this rule does not see two items of one name.
pub fn items_of_tests_only(sources: &[Source], modules: &Modules) -> Vec<String> {
    let code: Vec<(&str, String)> = modules.code().map(|(file, code)| (file, without_items_of_tests(code))).collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    code.iter().flat_map(|(_, code)| words(code)).for_each(|word| *uses.entry(word).or_default() += 1);
    let mut complaints = Vec::new();
    for (file, code) in code.iter().filter(|(file, _)| !file.starts_with("src/embed/")) {
        let items = code.lines().filter_map(reachable_item).filter(|name| uses[name] == 1 && *name != "main");
        complaints.extend(items.map(|name| format!("{file}: only tests use {name}")));
    }
    let lints = "cargo clippy --locked -- -D warnings";
    let ci = sources.iter().filter(|source| source.path == ".ci/run");
    complaints.extend(ci.filter(|ci| !ci.text.lines().any(|line| line == lints)).map(|ci| format!("{}: no line `{lints}`", ci.path)));
    complaints
}

/// The name of `pub const fn name(…`, `pub(super) struct Name {` and their like.
fn reachable_item(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = rest.strip_prefix('(').map_or(rest, |scope| scope.split_once(')').map_or("", |(_, rest)| rest));
    let mut words = words(rest.strip_prefix(' ')?).skip_while(|word| ["async", "unsafe"].contains(word)).peekable();
    let kind = words.next()?;
    let name = words.next_if(|_| ["fn", "struct", "enum", "trait", "type", "const", "static"].contains(&kind))?;
    if name == "fn" { words.next() } else { Some(name) }
}

/// Without what stands behind `#[cfg(test)]` and `#[cfg(any(test, …))]`; items end where rustfmt ends them.
fn without_items_of_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut skipped: Option<usize> = None;
    for line in code.lines() {
        let indent = line.len() - line.trim_start().len();
        let is_gate = ["#[cfg(test)]", "#[cfg(any(test,"].iter().any(|gate| line.trim_start().starts_with(gate));
        if skipped.is_none() && is_gate {
            skipped = Some(indent);
        } else if let Some(of) = skipped {
            let ends = indent == of && line.trim_end().ends_with([';', '}', ',']);
            skipped = skipped.filter(|_| !ends);
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The phrases of "Knows nothing of: a, b." in a header.
fn disclaimed(text: &str) -> Vec<String> {
    let header: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let header = header.join(" ");
    let Some((_, said)) = header.split_once("Knows nothing of: ") else { return Vec::new() };
    let said = said.split_once('.').map_or(said, |(said, _)| said);
    said.split(", ").map(|phrase| phrase.trim().to_owned()).collect()
}

/// A path of this project that a document, a comment or a script names.
pub fn named_paths_exist(sources: &[Source]) -> Vec<String> {
    let folders_of = |path: &'_ str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
    let mut known: BTreeSet<String> = sources.iter().flat_map(|source| folders_of(&source.path)).collect();
    known.extend(sources.iter().map(|source| source.path.clone()));
    let exists = |path: &str| known.contains(path);
    let mut complaints = BTreeSet::new();
    for source in sources
        .iter()
        .filter(|source| !source.path.starts_with("tests/tidy") && ![".gitignore", "CHANGELOG.md"].contains(&source.path.as_str()))
    {
        let is_of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        for token in source.text.split(|c: char| !is_of_path(c)) {
            let path = token.trim_end_matches(['.', '/']).trim_start_matches("./");
            let top = path.split_once('/').map_or("", |(top, _)| top);
            let is_ours = ["src", "tests", "benches", "docs", "packaging", "examples"].contains(&top) && token.starts_with(top);
            let is_plain = !path.contains("..") && !path.contains("//");
            if is_ours && is_plain && !exists(path) && !exists(&format!("{path}.rs")) {
                complaints.insert(format!("{}: names {path}, which does not exist", source.path));
            }
        }
    }
    complaints.into_iter().collect()
}

/// The README's runs of `explain` are among those of docs/explain.md, which `tests/e2e/explained` writes anew.
pub fn examples_are_of_this_release(sources: &[Source]) -> Vec<String> {
    let text_of = |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| &source.text);
    let (page, readme) = (text_of("docs/explain.md"), text_of("README.md"));
    let runs = readme.split("```text\n").skip(1).filter_map(|block| block.split_once("\n```")).map(|(run, _)| run);
    let stale = runs.filter(|run| run.starts_with("$ cairn explain") && !page.contains(run));
    stale.map(|run| format!("README.md: not in docs/explain.md: {}", run.lines().next().unwrap_or(run))).collect()
}

/// The ways of a query in the architecture page: `file.rs: function` below `src/`.
pub fn ways_lead_through_real_functions(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for page in sources.iter().filter(|source| source.path == "ARCHITECTURE.md") {
        for (file, function) in page.text.split('`').filter_map(|quoted| quoted.split_once(".rs: ")) {
            let path = format!("src/{file}.rs");
            let defines = |source: &&Source| {
                let mut words = words(source.code_in_service());
                std::iter::from_fn(|| words.find(|word| *word == "fn").and_then(|_| words.next())).any(|name| name == function)
            };
            if !sources.iter().filter(|source| source.path == path).any(|source| defines(&source)) {
                complaints.push(format!("{}: there is no {function} in {path}", page.path));
            }
        }
    }
    complaints
}

/// The tests that the page about attacks names: `file.rs: test`, below `src/` or from `tests/` on.
pub fn attacks_are_shown_by_real_tests(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for page in sources.iter().filter(|source| source.path == "docs/attacks.md") {
        for (file, test) in page.text.split('`').filter_map(|quoted| quoted.split_once(".rs: ")) {
            let path = if file.starts_with("tests/") { format!("{file}.rs") } else { format!("src/{file}.rs") };
            let head = format!("fn {test}(");
            let is_there = |source: &Source| source.text.split("#[").any(|part| part.contains(&head) && part.contains("test"));
            if !sources.iter().any(|source| source.path == path && is_there(source)) {
                complaints.push(format!("{}: there is no test {test} in {path}", page.path));
            }
        }
    }
    complaints
}

/// Of a hundred public items, at least this many are documented.
pub const DOCUMENTED_PERCENT_MIN: usize = 95;

/// The public items without documentation, and the number of all public items.
///
/// A public item is a function, method, type, trait, constant or static that is `pub`, `pub(crate)` or `pub(in …)`. What is
/// `pub(super)` belongs to its folder, modules have a header, and what `lib.rs` exports is left to the lint `missing_docs`,
/// which covers fields and variants too.
pub fn undocumented(sources: &[Source]) -> (Vec<String>, usize) {
    let (mut without, mut all) = (Vec::new(), 0);
    for source in sources.iter().filter(|source| source.path.starts_with("src/") && source.is_rust() && !source.is_of_tests()) {
        let mut has_doc = false;
        for line in source.text.lines().take_while(|line| *line != "#[cfg(test)]").map(str::trim) {
            if let Some(name) = item_to_document(line) {
                all += 1;
                if !has_doc {
                    without.push(format!("{}: {name} has no documentation", source.path));
                }
            }
            has_doc = line.starts_with("///") || has_doc && line.starts_with("#[");
        }
    }
    (without, all)
}

/// The name of the public item that this line begins, if it begins one.
fn item_to_document(line: &str) -> Option<&str> {
    const KINDS: &[&str] = &["fn", "struct", "enum", "trait", "type", "static", "union"];
    let rest = ["pub ", "pub(crate) "].iter().find_map(|visibility| line.strip_prefix(visibility));
    let rest = rest.or_else(|| line.strip_prefix("pub(in ")?.split_once(") ").map(|(_, rest)| rest))?;
    let mut words = rest.split(' ').skip_while(|word| ["async", "unsafe", "extern", "const"].contains(word));
    let (kind, name) = (words.next()?, words.next());
    let is_constant = rest.starts_with("const ") && !KINDS.contains(&kind);
    let name = if is_constant { kind } else { name.filter(|_| KINDS.contains(&kind))? };
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

pub fn too_few_are_documented(sources: &[Source]) -> Vec<String> {
    let (without, all) = undocumented(sources);
    if (all - without.len()) * 100 < all * DOCUMENTED_PERCENT_MIN { without } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&[Source]) -> Vec<String>;

    /// The rule complains of these files, and lets them pass once the last one reads like this.
    #[track_caller]
    fn tells_apart(rule: Rule, files: &[(&str, &str)], good: &str) {
        let mut sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        assert!(!rule(&sources).is_empty(), "not seen: {files:?}");
        let last = sources.pop().expect("a file");
        sources.push(Source::new(&last.path, good));
        assert_eq!(rule(&sources), Vec::<String>::new());
    }

    #[test]
    fn circles_between_files_are_seen() {
        let files = [
            ("src/lib.rs", "mod a;\nmod b;"),
            ("src/a.rs", "use crate::b::B;\npub struct A;"),
            ("src/b.rs", "use crate::a::A;\npub struct B;"),
        ];
        tells_apart(|sources| circles(&Modules::of(sources)), &files, "pub struct B;");
    }

    #[test]
    fn imports_upwards_between_rooms_are_seen() {
        let top = ("src/resolve/mod.rs", "mod question;\nmod reply;\nmod resolver;");
        let upper = ("src/resolve/question/mod.rs", "use crate::resolve::reply::Low;\npub struct High;");
        let above = ("src/resolve/resolver.rs", "use super::question::High;\npub struct Top;");
        for bad in ["use crate::resolve::question::High;", "fn f(x: super::resolver::Top) {}"] {
            tells_apart(
                |sources| rooms_import_down(&Modules::of(sources)),
                &[top, upper, above, ("src/resolve/reply/mod.rs", bad)],
                "pub struct Low;",
            );
        }
        assert!(!rooms_import_down(&Modules::of(&[Source::new("src/resolve/attic/mod.rs", "")])).is_empty(), "a room without a place");
    }

    #[test]
    fn large_types_are_seen() {
        let block = |count: usize| format!("struct T;\nimpl T {{\n{}}}\n", "    fn f(&self) {}\n".repeat(count));
        tells_apart(
            |sources| types_with_many_methods(&Modules::of(sources)),
            &[("src/a.rs", &block(METHODS_MAX + 1))],
            &block(METHODS_MAX),
        );
        let home = ("src/a/mod.rs", "pub struct T;\nmod b;\nimpl T {\n    fn f() {}\n}");
        let bad = "use crate::a::T;\nimpl T {\n    fn g() {}\n}";
        tells_apart(
            |sources| types_in_several_folders(&Modules::of(sources)),
            &[home, ("src/c/mod.rs", bad)],
            "struct T;\nimpl T {\n    fn g() {}\n}",
        );
    }

    #[test]
    fn limits_outside_the_table_are_seen() {
        let good = "const MAXIMAL: u8 = 1; // const X_MAX: u8 = 1;\nconst PERCENT: u8 = 1;\nfn f() { u8::MAX }";
        for bad in [
            "const NAMES_MAX: usize = 3;",
            "pub(super) const MAX_NAMES: u8 = 1;",
            "impl T {\n    const LIMIT: u8 = 1;\n}",
            "const LINES_PER_SECOND: u32 = 10;",
            "fn f() {\n    const WAIT_LEAST: Duration = Duration::ZERO;\n}",
        ] {
            tells_apart(limits_elsewhere, &[("src/cache/sets.rs", bad)], good);
        }
        let fixed = "const NAME_BYTES_MAX: usize = 255;";
        tells_apart(limits_elsewhere, &[("src/record/name.rs", "const NAMES_MAX: u8 = 255;")], fixed);
        assert!(!limits_elsewhere(&[Source::new("src/record/rtype.rs", fixed)]).is_empty(), "fixed in one file only");
        assert!(limits_elsewhere(&[Source::new("src/limits/cache.rs", "pub const NAMES_MAX: usize = 3;")]).is_empty());
        assert!(limits_elsewhere(&[Source::new("src/cache/sets.rs", "#[cfg(test)]\nmod tests {\n    const X_MAX: u8 = 1;\n}")]).is_empty());
        assert_eq!(fixed_bounds_exist(&[Source::new("src/record/name.rs", fixed)]).len(), FIXED_BOUNDS.len() - 1);
    }

    #[test]
    fn packages_that_only_tests_use_are_seen() {
        let used = "use tokio::time;\nuse clap::Parser;\nuse lru::LruCache;";
        let bad = "#[cfg(test)]\nmod tests {\n    use hickory_proto::op::Message;\n}";
        tells_apart(packages_of_tests_only, &[("src/a.rs", used), ("src/b.rs", bad)], "use hickory_proto::rr::RData;");
    }

    #[test]
    fn items_that_only_tests_use_are_seen() {
        let rule: Rule = |sources| items_of_tests_only(sources, &Modules::of(sources));
        let lib = ("src/lib.rs", "mod a;\nmod b;\npub use b::main;\npub use a::Shown;");
        let user = ("src/b.rs", "pub fn main() { crate::a::used() }\n#[cfg(test)]\nmod tests {\n    use crate::a::{Shown, unused};\n}");
        for bad in ["pub fn unused() {}", "pub(super) const fn unused() {}", "pub struct Shown;", "pub async fn unused() {}"] {
            let good = "pub fn used() {}\nfn private() {}\n#[cfg(any(test, feature = \"internals\"))]\npub fn unused() {\n}";
            tells_apart(rule, &[lib, user, ("src/a.rs", &format!("pub fn used() {{}}\n{bad}"))], good);
        }
        let only_by_tests =
            "pub fn used() {}\npub fn unused() {}\nimpl T {\n    #[cfg(test)]\n    pub fn f() {\n        unused()\n    }\n}";
        tells_apart(
            rule,
            &[lib, user, ("src/a.rs", only_by_tests)],
            &only_by_tests.replace("    #[cfg(test)]\n", "").replace("pub fn f", "fn f"),
        );
        tells_apart(rule, &[(".ci/run", "cargo clippy --all-targets --locked -- -D warnings")], "cargo clippy --locked -- -D warnings");
    }

    #[test]
    fn doors_that_say_what_is_not_so_are_seen() {
        let door = ("src/validate/mod.rs", "//! Proofs.\n//!\n//! Knows nothing of: sockets, who asked, the\n//! cache, time of day.");
        for bad in ["use crate::cache::Cache;", "use std::net::UdpSocket;", "fn f(x: crate::env::WallTime) {}"] {
            tells_apart(doors_know_what_they_say, &[door, ("src/validate/judge.rs", bad)], "use crate::record::Name;\n// UdpSocket");
        }
        let elsewhere = [Source::new(door.0, door.1), Source::new("src/resolve/walk.rs", "use crate::cache::Cache;")];
        assert!(doors_know_what_they_say(&elsewhere).is_empty());
    }

    #[test]
    fn paths_that_lead_nowhere_are_seen() {
        let files = [("src/cache/sets.rs", "//! Sets."), ("README.md", "See `src/cache/gone.rs`.")];
        tells_apart(named_paths_exist, &files, "See `src/cache/sets.rs`, src/cache/ and https://example.org/src/other.rs.");
        tells_apart(named_paths_exist, &[("tests/e2e/run", "x"), ("CONTRIBUTING.md", "Run tests/popular/run.")], "Run tests/e2e/run.");
    }

    #[test]
    fn stale_examples_are_seen() {
        let page = ("docs/explain.md", "```text\n$ cairn explain a.\nnew words\n```\n");
        let bad = "```text\n$ cairn explain a.\nold words\n```\n";
        tells_apart(
            examples_are_of_this_release,
            &[page, ("README.md", bad)],
            "```text\n$ cairn run\n```\n```text\n$ cairn explain a.\nnew words\n```\n",
        );
    }

    #[test]
    fn ways_through_functions_that_are_gone_are_seen() {
        let file = ("src/listen/udp.rs", "pub async fn serve() {}\nfn other() { gone() }");
        for bad in ["`listen/udp.rs: gone`", "`listen/tcp.rs: serve`"] {
            tells_apart(ways_lead_through_real_functions, &[file, ("ARCHITECTURE.md", bad)], "`listen/udp.rs: serve` and `listen/udp.rs`");
        }
    }

    #[test]
    fn attacks_without_their_test_are_seen() {
        let file = ("src/cache/sets.rs", "fn helper() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn a_ghost() {}\n}");
        for bad in ["`cache/sets.rs: gone`", "`cache/sets.rs: helper`", "`cache/store.rs: a_ghost`", "`tests/world/attacks.rs: a_ghost`"] {
            tells_apart(attacks_are_shown_by_real_tests, &[file, ("docs/attacks.md", bad)], "`cache/sets.rs: a_ghost`");
        }
    }

    #[test]
    fn missing_documentation_is_seen() {
        let items = [
            "pub struct A;",
            "pub fn b() {}",
            "pub const C: u8 = 1;",
            "pub const fn d() {}",
            "pub(crate) async fn e() {}",
            "pub(in crate::resolve) enum F {}",
            "impl A {\n    pub fn g() {}\n}",
        ];
        for item in items {
            let good =
                item.lines().map(|line| if line.contains("pub") { format!("/// Doc.\n#[derive(Debug)]\n{line}") } else { line.to_owned() });
            let good = good.collect::<Vec<_>>().join("\n");
            tells_apart(too_few_are_documented, &[("src/a.rs", item)], &good);
        }
        let others = "pub(super) fn a() {}\npub mod b;\npub use c::D;\nstruct E {\n    pub f: u8,\n}\n#[cfg(test)]\nmod tests {\n    pub fn f() {}\n}";
        assert_eq!(undocumented(&[Source::new("src/a.rs", others)]), (Vec::new(), 0));
    }
}
