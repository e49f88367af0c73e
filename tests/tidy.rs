//! The house rules, as tests: what a reader may rely on without reading everything.
//!
//! Each rule is a function from files to complaints. It is run on the project, and on a made-up file that breaks it,
//! so that a rule which no longer sees anything is noticed.

#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/schema.rs"]
mod schema;
#[path = "tidy/whole.rs"]
mod whole;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use modules::Modules;

/// The order of a query's way: a folder imports only from folders that stand further down.
const ORDER: &[&str] = &[
    "cli",
    "embed",
    "switch",
    "announce",
    "server",
    "listen",
    "explain",
    "answer",
    "policy",
    "authority",
    "zone",
    "resolve",
    "cache",
    "validate",
    "upstream",
    "tap",
    "metrics",
    "env",
    "config",
    "wire",
    "record",
    "limits",
];

/// These never import each other, in either direction.
const STRANGERS: &[&str] = &["cache", "validate", "upstream", "policy"];

/// The files that wait: `async`, `.await`, tokio. All others decide, and can be tested without a runtime.
const WAITING_FILES: &[&str] = &[
    "src/answer/notified.rs",
    "src/answer/permitted_update.rs",
    "src/answer/pipeline.rs",
    "src/answer/updates.rs",
    "src/answer/worker.rs",
    "src/embed/resolver.rs",
    "src/env/mod.rs",
    "src/env/real/datagram.rs",
    "src/env/real/network.rs",
    "src/env/real/stream.rs",
    "src/env/real/syscalls.rs",
    "src/env/real/udp_flow.rs",
    "src/env/stream.rs",
    "src/env/tls.rs",
    "src/listen/close.rs",
    "src/listen/connection.rs",
    "src/listen/replies.rs",
    "src/listen/dispatch.rs",
    "src/listen/encrypted.rs",
    "src/listen/handshake.rs",
    "src/listen/https/body.rs",
    "src/listen/https/connection.rs",
    "src/listen/https/cork.rs",
    "src/listen/limits.rs",
    "src/listen/proxied.rs",
    "src/listen/stream.rs",
    "src/listen/udp.rs",
    "src/listen/worker.rs",
    "src/resolve/context/place.rs",
    "src/resolve/context/task.rs",
    "src/resolve/dnssec/chain_of_trust.rs",
    "src/resolve/dnssec/follow_anchors.rs",
    "src/resolve/dnssec/judge.rs",
    "src/resolve/dnssec/validate.rs",
    "src/resolve/iterate/ask_parent.rs",
    "src/resolve/iterate/ns_look_ups.rs",
    "src/resolve/iterate/ask_zone.rs",
    "src/resolve/iterate/ns_addresses.rs",
    "src/resolve/iterate/start.rs",
    "src/resolve/iterate/walk.rs",
    "src/resolve/lookup/coalesce.rs",
    "src/resolve/lookup/lookup.rs",
    "src/resolve/network/find_translator.rs",
    "src/resolve/network/found_translator.rs",
    "src/resolve/network/network.rs",
    "src/resolve/network/probe.rs",
    "src/resolve/network/wakeups.rs",
    "src/resolve/question/alias_tail.rs",
    "src/resolve/question/cname_chain.rs",
    "src/resolve/question/deadline.rs",
    "src/resolve/question/error_report.rs",
    "src/resolve/question/prefetch.rs",
    "src/resolve/question/resolver.rs",
    "src/resolve/question/stale.rs",
    "src/resolve/servers/in_flight.rs",
    "src/resolve/servers/query.rs",
    "src/resolve/servers/second_query.rs",
    "src/resolve/servers/send.rs",
    "src/server/local_root.rs",
    "src/server/busy_time.rs",
    "src/server/cache_file.rs",
    "src/server/command.rs",
    "src/server/encrypted/listeners.rs",
    "src/server/encrypted_query.rs",
    "src/server/engine.rs",
    "src/server/fetch/addresses.rs",
    "src/server/fetch/client.rs",
    "src/server/fetch/connect.rs",
    "src/server/fetch/exchange.rs",
    "src/server/hosting/alias_targets.rs",
    "src/server/hosting/aliases.rs",
    "src/server/hosting/check.rs",
    "src/server/hosting/keeper.rs",
    "src/server/hosting/mod.rs",
    "src/server/hosting/primary.rs",
    "src/server/hosting/turns.rs",
    "src/server/hosting/updater.rs",
    "src/server/hosting/write_back.rs",
    "src/server/listening.rs",
    "src/server/lists/fetcher.rs",
    "src/server/run.rs",
    "src/server/server.rs",
    "src/server/signing/parent_targets.rs",
    "src/server/signing/tend.rs",
    "src/server/socket.rs",
    "src/server/trust.rs",
    "src/server/web/explanations.rs",
    "src/server/web/listener.rs",
    "src/server/web/probe.rs",
    "src/server/web/readiness.rs",
    "src/server/web/timed_stream.rs",
    "src/upstream/connection.rs",
    "src/upstream/encrypted.rs",
    "src/upstream/exchange.rs",
    "src/upstream/https.rs",
    "src/upstream/socket_table.rs",
    "src/upstream/sockets.rs",
    "src/upstream/tcp.rs",
];

/// One small file per need of the kernel's own calls.
const UNSAFE_FILES: &[&str] = &[
    "src/env/real/allocator.rs",
    "src/env/real/clock.rs",
    "src/env/real/syscalls.rs",
    "src/server/pages.rs",
    "src/server/priority.rs",
    "src/server/rlimit.rs",
    "src/server/system/account.rs",
];

const LINES_MAX: usize = 900;

/// Fewer words are a title and no idea.
const IDEA_WORDS: usize = 4;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// Split in two, so that this file does not hold what it forbids. Places of one machine, and hosts that packages came from.
const FOREIGN_WORDS: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("index.cra", "tes.io"),
    ("static.cra", "tes.io"),
    ("to be wri", "tten)"),
    ("TO", "DO"),
    ("FIX", "ME"),
];

struct Source {
    /// From the top of the project, with forward slashes.
    path: String,
    text: String,
    code: OnceCell<String>,
    code_in_service: OnceCell<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), code: OnceCell::new(), code_in_service: OnceCell::new() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The folder below `src/`; `None` for `lib.rs`, `main.rs` and everything that is not in `src/`.
    fn folder(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(folder, _)| folder)
    }

    fn stem(&self) -> &str {
        let file = self.path.rsplit('/').next().unwrap_or(&self.path);
        file.strip_suffix(".rs").unwrap_or(file)
    }

    /// A file of its own for tests, and for what they need.
    fn is_of_tests(&self) -> bool {
        let stem = self.stem();
        stem.ends_with("tests") || stem.starts_with("test_") || stem.starts_with("fake")
    }

    /// Without comments and without what stands in quotes; the lines keep their numbers.
    fn code(&self) -> &str {
        self.code.get_or_init(|| without_comments_and_text(&self.text))
    }

    /// The code without the unit tests, which stand last or in a file of their own.
    fn code_in_service(&self) -> &str {
        self.code_in_service.get_or_init(|| match self.code().find("#[cfg(test)]\nmod ") {
            _ if self.is_of_tests() => String::new(),
            Some(tests) => self.code()[..tests].to_owned(),
            None => self.code().to_owned(),
        })
    }
}

/// Only as much of Rust's grammar as is needed: line and block comments, strings, raw strings, characters.
fn without_comments_and_text(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len()),
            ('/', Some('*')) => block_comment_end(&chars, at),
            ('r', Some('"' | '#')) if !follows_word(&chars, at) => raw_string_end(&chars, at).unwrap_or(at),
            ('"', _) => quoted_end(&chars, at, '"'),
            ('\'', Some('\\')) => quoted_end(&chars, at, '\''),
            ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
        out.push(' ');
        at = end;
    }
    out
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    (open + 1..chars.len())
        .find(|i| chars[*i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes)
        .map(|i| i + 1 + hashes)
}

fn follows_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') && chars[at - 1] != 'b'
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The folders of this crate that the code names: `crate::x::…`, `crate::{x::…, y}`, and `super::super::x` that climbs out.
fn named_folders(source: &Source) -> BTreeSet<String> {
    let code: String = source.code().split_whitespace().collect::<Vec<_>>().join(" ").replace(" :: ", "::");
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.trim_start().strip_prefix('{') {
            Some(list) => found.extend(group_heads(list)),
            None => found.extend(words(after).next().map(str::to_owned)),
        }
    }
    let own = source.folder().unwrap_or("");
    for after in code.split("super::").skip(1) {
        let head = words(after).next().unwrap_or("");
        let climbs = after[head.len()..].starts_with("::") && !source.path.contains(&format!("{own}/{head}"));
        if climbs && ORDER.contains(&head) && code.contains(&format!("super::super::{head}::")) {
            found.insert(head.to_owned());
        }
    }
    found.retain(|folder| ORDER.contains(&folder.as_str()));
    found
}

/// The first word of each item of `a::B, c::{D, E}}`.
fn group_heads(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut item) = (1, Vec::new(), String::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            heads.extend(words(&item).next().map(str::to_owned));
            item.clear();
        } else {
            item.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn imports_go_down(source: &Source) -> Vec<String> {
    let Some(folder) = source.folder() else { return Vec::new() };
    let Some(place) = ORDER.iter().position(|name| *name == folder) else {
        return vec![format!("{}: the folder `{folder}` has no place in the order", source.path)];
    };
    let mut complaints = Vec::new();
    for other in named_folders(source).into_iter().filter(|other| other != folder) {
        let below = ORDER.iter().position(|name| *name == other).is_some_and(|at| at > place);
        if !below || (STRANGERS.contains(&folder) && STRANGERS.contains(&other.as_str())) {
            complaints.push(format!("{}: `{folder}` must not import `{other}`", source.path));
        }
    }
    complaints
}

fn only_some_may_wait(source: &Source) -> Vec<String> {
    let waits = |word: &str| ["async", "await", "tokio"].contains(&word);
    let is_ours = source.path.starts_with("src/") && !WAITING_FILES.contains(&source.path.as_str());
    if is_ours && words(source.code_in_service()).any(waits) {
        vec![format!("{}: waits (async, tokio), but is not in the list of files that do", source.path)]
    } else {
        Vec::new()
    }
}

/// The list of files that wait names each once, and none that does not wait any more.
fn waiting_files_wait(sources: &[Source], listed: &[&str]) -> Vec<String> {
    let waits = |path: &str| {
        let source = sources.iter().find(|source| source.path == path);
        source.is_some_and(|source| words(source.code_in_service()).any(|word| ["async", "await", "tokio"].contains(&word)))
    };
    let is_double = |path: &str| listed.iter().filter(|other| **other == path).count() > 1;
    let wrong = listed.iter().filter(|path| !waits(path) || is_double(path));
    wrong.map(|path| format!("{path}: stands twice in the list of files that wait, or does not wait")).collect()
}

fn only_validate_asserts(source: &Source) -> Vec<String> {
    let may = matches!(source.folder(), Some("validate" | "record"));
    let code = source.code_in_service();
    let asserts = source.path.starts_with("src/") && code.contains("Validated") && words(code).any(|word| word == "assertion");
    if asserts && !may { vec![format!("{}: `Validated::assertion` is for validate/ alone", source.path)] } else { Vec::new() }
}

fn doors_say_what_they_do_not_know(source: &Source) -> Vec<String> {
    let is_door = source.folder().is_some() && source.path.matches('/').count() == 2 && source.stem() == "mod";
    let says = source.text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.starts_with("//! Knows nothing of"));
    if is_door && !says { vec![format!("{}: the header has no line \"Knows nothing of: …\"", source.path)] } else { Vec::new() }
}

/// The first sentence of the header says the file's one idea.
fn files_open_with_what_they_are(source: &Source) -> Vec<String> {
    if !source.is_rust() || source.path == "src/main.rs" {
        return Vec::new();
    }
    let header = source.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let idea = header.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    match (idea.is_empty(), idea.contains(['.', ':']) && idea.split(' ').count() >= IDEA_WORDS) {
        (true, _) => vec![format!("{}: does not open with `//!`", source.path)],
        (false, false) => vec![format!("{}: the header's first sentence does not say what the file is for", source.path)],
        (false, true) => Vec::new(),
    }
}

fn files_stay_small(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines > LINES_MAX { vec![format!("{}: {lines} lines, more than {LINES_MAX}", source.path)] } else { Vec::new() }
}

fn names_say_something(source: &Source) -> Vec<String> {
    let parts = source.path.strip_suffix(".rs").unwrap_or(&source.path).split('/');
    parts.filter(|part| EMPTY_NAMES.contains(part)).map(|part| format!("{}: `{part}` says nothing", source.path)).collect()
}

fn unsafe_stays_in_its_rooms(source: &Source) -> Vec<String> {
    let has = words(source.code()).any(|word| word == "unsafe");
    if has && !UNSAFE_FILES.contains(&source.path.as_str()) {
        vec![format!("{}: `unsafe` outside its rooms", source.path)]
    } else {
        Vec::new()
    }
}

fn nothing_is_left_unfinished(source: &Source) -> Vec<String> {
    let code = source.code();
    let macros = ["todo!", "unimplemented!", "dbg!"]
        .into_iter()
        .filter(|name| code.match_indices(name).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')));
    macros.map(|name| format!("{}: `{name}`", source.path)).collect()
}

fn foreign_words(source: &Source) -> Vec<String> {
    let found = FOREIGN_WORDS.iter().map(|(head, tail)| format!("{head}{tail}")).filter(|word| source.text.contains(word.as_str()));
    found.map(|word| format!("{}: \"{word}\" has no place here", source.path)).collect()
}

fn scenarios_tell_their_story(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or("").trim_start();
    let tells = [";", "#", "//"].iter().any(|mark| first.strip_prefix(mark).is_some_and(|story| !story.trim().is_empty()));
    if source.path.ends_with(".rpl") && !tells {
        vec![format!("{}: the first line does not tell the story", source.path)]
    } else {
        Vec::new()
    }
}

type Rule = fn(&Source) -> Vec<String>;

const RUST_RULES: &[Rule] = &[
    imports_go_down,
    only_some_may_wait,
    only_validate_asserts,
    doors_say_what_they_do_not_know,
    files_open_with_what_they_are,
    files_stay_small,
    names_say_something,
    unsafe_stays_in_its_rooms,
    nothing_is_left_unfinished,
];

const TEXT_RULES: &[Rule] = &[foreign_words, scenarios_tell_their_story];

/// Every text file of the project; what is built, and what git keeps, left out.
fn project() -> Vec<Source> {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&top, &top, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(top: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the project can be read").flatten() {
        let path = entry.path();
        let relative = path.strip_prefix(top).expect("it is below the top").to_string_lossy().replace('\\', "/");
        if ["target", ".git"].contains(&relative.as_str()) {
            continue;
        }
        match entry.file_type().expect("the project can be read") {
            kind if kind.is_dir() => collect(top, &path, found),
            kind if kind.is_file() => found.extend(fs::read_to_string(&path).ok().map(|text| Source::new(&relative, &text))),
            _ => {}
        }
    }
}

#[test]
fn the_project_keeps_the_rules() {
    let sources = project();
    assert!(sources.iter().filter(|source| source.is_rust()).count() > 30, "the project was not found");
    let mut complaints: Vec<String> = Vec::new();
    for source in &sources {
        complaints.extend(TEXT_RULES.iter().flat_map(|rule| rule(source)));
        if source.is_rust() {
            complaints.extend(RUST_RULES.iter().flat_map(|rule| rule(source)));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// `cargo test --test tidy -- --nocapture` prints where the project stands.
#[test]
fn the_project_as_a_whole_keeps_the_rules() {
    let sources = project();
    let modules = Modules::of(&sources);
    let circles = modules.circles();
    let files_in_circles: usize = circles.iter().map(BTreeSet::len).sum();
    let (largest, methods) = modules.largest_type();
    let (undocumented, items) = whole::undocumented(&sources);
    let documented = items - undocumented.len();
    println!("files in import circles: {files_in_circles}; methods of the largest type: {methods} ({largest})");
    println!("public items with documentation: {documented} of {items}, {:.1} %", documented as f64 * 100.0 / items.max(1) as f64);
    let complaints = [
        whole::circles(&modules),
        whole::rooms_import_down(&modules),
        whole::types_with_many_methods(&modules),
        whole::types_in_several_folders(&modules),
        whole::packages_of_tests_only(&sources),
        whole::items_of_tests_only(&sources, &modules),
        waiting_files_wait(&sources, WAITING_FILES),
        whole::doors_know_what_they_say(&sources),
        whole::limits_elsewhere(&sources),
        whole::fixed_bounds_exist(&sources),
        whole::too_few_are_documented(&sources),
        whole::named_paths_exist(&sources),
        whole::examples_are_of_this_release(&sources),
        schema::the_schema_is_described(&sources),
        whole::ways_lead_through_real_functions(&sources),
        whole::attacks_are_shown_by_real_tests(&sources),
    ]
    .concat();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_order_is_that_of_the_library() {
    let lib = project().into_iter().find(|source| source.path == "src/lib.rs").expect("src/lib.rs");
    let listed: Vec<String> =
        lib.code().lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned())).collect();
    assert_eq!(listed, ORDER, "ORDER here and the module list in lib.rs are one and the same");
}

/// A rule must complain about the first file and let the second pass.
#[track_caller]
fn tells_apart(rule: Rule, path: &str, bad: &str, good: &str) {
    assert!(!rule(&Source::new(path, bad)).is_empty(), "not seen in {path}:\n{bad}");
    assert_eq!(rule(&Source::new(path, good)), Vec::<String>::new(), "{path}:\n{good}");
}

#[test]
fn imports_upwards_are_seen() {
    let good =
        "//! See [`crate::answer::Worker`].\nuse crate::{env::BootTime, record::{Name, Rtype}};\nconst X: &str = \"crate::cli::run\";";
    for bad in [
        "use crate::answer::Worker;",
        "pub use crate :: answer :: Worker;",
        "fn f() -> crate::answer::Worker { todo() }",
        "use crate::{record::Name, answer::{Client, Worker}};",
        "use crate::{\n    record::{Name, Rtype},\n    cli,\n};",
        "use super::super::answer::Worker;",
        "#[cfg(test)]\nmod tests {\n    use crate::listen::X;\n}",
        "use crate::upstream::Ask; // a stranger, though it stands below",
    ] {
        tells_apart(imports_go_down, "src/cache/sets.rs", bad, good);
    }
    tells_apart(imports_go_down, "src/policy/acl.rs", "use crate::cache::X;", "use crate::config::Prefix;");
    tells_apart(imports_go_down, "src/validate/mod.rs", "use crate::upstream::X;", "use crate::limits::Limits;");
    tells_apart(imports_go_down, "src/record/name.rs", "use crate::wire::X;", "use super::Rtype;");
    tells_apart(imports_go_down, "src/env/real/clock.rs", "use crate::cache::X;", "use super::super::net::Datagram;");
    assert!(!imports_go_down(&Source::new("src/newcomer/mod.rs", "")).is_empty(), "a folder without a place in the order");
}

#[test]
fn waiting_in_pure_code_is_seen() {
    let good = "/// tokio's own clock\nconst X: &str = \"tokio\";\n#[cfg(test)]\nmod tests {\n    #[tokio::test]\n    async fn x() {}\n}";
    for bad in ["use tokio::time::sleep;", "fn f() { tokio::spawn(x) }", "async fn f() {}", "fn f() -> X { async { g().await } }"] {
        tells_apart(only_some_may_wait, "src/resolve/reply/classify.rs", bad, good);
    }
    assert!(only_some_may_wait(&Source::new("src/cache/tests.rs", "use tokio::time;")).is_empty());
    assert!(only_some_may_wait(&Source::new("src/resolve/iterate/walk.rs", "use tokio::time;")).is_empty());
}

#[test]
fn idle_entries_in_the_list_of_files_that_wait_are_seen() {
    let sources = [Source::new("src/a.rs", "async fn f() {}"), Source::new("src/b.rs", "fn f() {}")];
    assert_eq!(waiting_files_wait(&sources, &["src/a.rs"]), Vec::<String>::new());
    for bad in ["src/a.rs", "src/b.rs", "src/c.rs"] {
        assert!(!waiting_files_wait(&sources, &["src/a.rs", bad]).is_empty(), "{bad}");
    }
}

#[test]
fn unproved_assertions_are_seen() {
    let good = "fn f(set: Validated<RrSet>) {}\n#[cfg(test)]\nmod tests { fn f() { Validated::assertion(1); } }";
    tells_apart(only_validate_asserts, "src/cache/sets.rs", "fn f() { Validated::assertion(set) }", good);
    tells_apart(only_validate_asserts, "src/answer/in_full.rs", "fn f() { Validated::<RrSet>::assertion(set) }", good);
    assert!(only_validate_asserts(&Source::new("src/validate/chain.rs", "Validated::assertion(set)")).is_empty());
}

#[test]
fn silent_doors_are_seen() {
    tells_apart(
        doors_say_what_they_do_not_know,
        "src/cache/mod.rs",
        "//! What was learned.\nmod sets;\n//! Knows nothing of: too late.",
        "//! What was learned.\n//!\n//! Knows nothing of: sockets.\nmod sets;",
    );
    for bad in ["use std::fmt;", "//! Sets.\nuse std::fmt;", "//!\n//! RRsets with their TTL and rank."] {
        tells_apart(files_open_with_what_they_are, "src/cache/sets.rs", bad, "//! RRsets with their TTL\n//! and rank.\nuse std::fmt;");
    }
}

#[test]
fn large_files_and_empty_names_are_seen() {
    tells_apart(files_stay_small, "src/cache/sets.rs", &"\n".repeat(LINES_MAX + 1), &"\n".repeat(LINES_MAX));
    for path in ["src/cache/utils.rs", "src/helpers/mod.rs", "tests/sim/common.rs"] {
        assert!(!names_say_something(&Source::new(path, "")).is_empty(), "{path}");
    }
    assert!(names_say_something(&Source::new("src/record/name.rs", "mod common_labels;")).is_empty());
}

#[test]
fn unsafe_code_is_seen() {
    let good = "// unsafe would be wrong here\n#![deny(unsafe_code)]\nconst X: &str = \"unsafe { }\";\nconst Y: char = '\"'; const Z: &str = \"unsafe\";";
    tells_apart(unsafe_stays_in_its_rooms, "src/cache/slab.rs", "fn f() { unsafe { g() } }", good);
    tells_apart(unsafe_stays_in_its_rooms, "src/cache/slab.rs", "const C: char = '\"'; unsafe fn g() {} // \"", good);
    tells_apart(unsafe_stays_in_its_rooms, "src/cache/slab.rs", "const C: &str = r#\"a\"b\"#; unsafe fn g() {}", good);
    tells_apart(unsafe_stays_in_its_rooms, "src/cache/slab.rs", "/* a /* b */ c */ unsafe fn g<'a>(x: &'a u8) {}", good);
}

#[test]
fn unfinished_code_is_seen() {
    let good = "/// todo! is a macro\nfn f() { my_todo!(); log(\"dbg!\") }";
    for bad in ["fn f() { todo!() }", "fn f() { unimplemented!(\"later\") }", "fn f() { dbg!(x); }"] {
        tells_apart(nothing_is_left_unfinished, "src/cache/sets.rs", bad, good);
    }
}

#[test]
fn foreign_words_are_seen() {
    for (head, tail) in FOREIGN_WORDS {
        tells_apart(foreign_words, "README.md", &format!("see {head}{tail}x"), "see /etc/cairn/cairn.toml");
    }
}

#[test]
fn scenarios_without_a_story_are_seen() {
    tells_apart(scenarios_tell_their_story, "tests/scenarios/cname/loop.rpl", "CONFIG_END\n; late", "; An alias loop ends.\nCONFIG_END");
    tells_apart(scenarios_tell_their_story, "tests/scenarios/cname/loop.rpl", ";\n; late", "# An alias loop ends.\nCONFIG_END");
}
