//! Which file of the crate uses which, and which type has its methods where: `use` lines and paths are followed through
//! the re-exports of the doors to the file that defines the name.
//!
//! Only what is in service counts: unit tests and modules behind `#[cfg(test)]` may use what they like.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, words};

type ModulePath = Vec<String>;

pub struct Modules(BTreeMap<ModulePath, Module>);

struct Module {
    file: String,
    /// Without the `use` items.
    code: String,
    imports: Vec<Binding>,
    /// `pub use`: other files reach the name through this one.
    exports: Vec<Binding>,
}

struct Binding {
    path: Vec<String>,
    name: String,
}

/// A type's own methods, of all its `impl` blocks without a trait.
pub struct Methods {
    pub name: String,
    pub count: usize,
    pub folders: BTreeSet<String>,
}

/// How deep re-exports are followed; no real chain comes near.
const STEPS_MAX: usize = 12;

impl Modules {
    pub fn of(sources: &[Source]) -> Modules {
        let in_src = || sources.iter().filter(|source| source.is_rust() && source.path != "src/main.rs").filter_map(module_path);
        let tests: BTreeSet<ModulePath> = in_src().flat_map(|(path, source)| modules_of_tests(&path, source.code())).collect();
        let is_of_tests = |path: &ModulePath| (0..=path.len()).any(|depth| tests.contains(&path[..depth]));
        let modules = in_src().filter(|(path, _)| !is_of_tests(path)).map(|(path, source)| (path, Module::of(source)));
        Modules(modules.collect())
    }

    /// Each file, and the files that it uses.
    pub fn edges(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.0.iter().map(|(path, module)| (module.file.as_str(), self.used_by(path, module))).collect()
    }

    /// Each file, and its code without imports, re-exports and unit tests.
    pub fn code(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.values().map(|module| (module.file.as_str(), module.code.as_str()))
    }

    fn used_by(&self, path: &ModulePath, module: &Module) -> BTreeSet<&str> {
        let children =
            self.0.keys().filter(|child| child.len() == path.len() + 1 && child.starts_with(path)).filter_map(|child| child.last());
        let heads: BTreeSet<&str> = module.imports.iter().map(|import| import.name.as_str()).chain(children.map(String::as_str)).collect();
        let named =
            paths_in(&module.code).into_iter().filter(|named| ["crate", "super"].contains(&&*named[0]) || heads.contains(&*named[0]));
        let targets = module.imports.iter().map(|import| import.path.clone()).chain(named);
        let homes: BTreeSet<ModulePath> = targets.filter_map(|target| self.home(path, &target, 0)).filter(|home| home != path).collect();
        homes.iter().map(|home| self.0[home].file.as_str()).collect()
    }

    /// The module that defines what `target` names in the module `here`; `None` for other crates.
    fn home(&self, here: &ModulePath, target: &[String], steps: usize) -> Option<ModulePath> {
        let (first, mut rest) = target.split_first().filter(|_| steps < STEPS_MAX)?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => here.clone(),
            "super" => {
                let ups = target.iter().take_while(|segment| *segment == "super").count();
                rest = &target[ups..];
                here[..here.len().checked_sub(ups)?].to_vec()
            }
            _ if self.0.contains_key(&child(here, first)) => {
                rest = target;
                here.clone()
            }
            _ => {
                let module = self.0.get(here)?;
                let import = module.imports.iter().chain(&module.exports).find(|import| import.name == *first && import.path != target)?;
                return self.home(here, &[&import.path[..], rest].concat(), steps + 1);
            }
        };
        while let Some(next) = rest.first().map(|segment| child(&at, segment)).filter(|next| self.0.contains_key(next)) {
            (at, rest) = (next, &rest[1..]);
        }
        let module = self.0.get(&at)?;
        let Some(name) = rest.first() else { return Some(at) };
        let exported = module.exports.iter().chain(&module.imports).filter(|export| export.name == *name);
        let further = exported.filter_map(|export| self.home(&at, &[&export.path[..], &rest[1..]].concat(), steps + 1)).next();
        Some(further.unwrap_or(at))
    }

    /// Sets of files of which each uses, by whatever way, all others.
    pub fn circles(&self) -> Vec<BTreeSet<&str>> {
        let edges = self.edges();
        let reach: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|file| (*file, reached(&edges, file))).collect();
        let mut circles: Vec<BTreeSet<&str>> = Vec::new();
        for (file, reached) in &reach {
            let circle: BTreeSet<&str> = reached.iter().copied().filter(|other| reach[other].contains(file)).collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    /// Every type of the crate that has methods.
    pub fn methods(&self) -> Vec<Methods> {
        let mut found: BTreeMap<(ModulePath, String), Methods> = BTreeMap::new();
        for (path, module) in &self.0 {
            for (name, count) in inherent_impls(&module.code) {
                let home = self.home(path, std::slice::from_ref(&name), 0).unwrap_or_else(|| path.clone());
                let folder = module.file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                let methods = found.entry((home, name.clone())).or_insert_with(|| Methods { name, count: 0, folders: BTreeSet::new() });
                methods.count += count;
                methods.folders.insert(folder);
            }
        }
        found.into_values().collect()
    }

    pub fn largest_type(&self) -> (String, usize) {
        self.methods().into_iter().max_by_key(|of| of.count).map_or((String::new(), 0), |of| (of.name, of.count))
    }
}

impl Module {
    fn of(source: &Source) -> Module {
        let (mut code, mut imports, mut exports) = (String::new(), Vec::new(), Vec::new());
        let mut rest = source.code_in_service().to_owned();
        while let Some((at, public)) = next_use(&rest) {
            let end = rest[at..].find(';').map_or(rest.len(), |len| at + len);
            let start = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let bindings = bindings(&rest[at..end]);
            if public {
                exports.extend(bindings)
            } else {
                imports.extend(bindings)
            }
            code.push_str(&rest[..start]);
            rest = rest.get(end + 1..).unwrap_or_default().to_owned();
        }
        code.push_str(&rest);
        Module { file: source.path.clone(), code, imports, exports }
    }
}

fn child(of: &[String], name: &str) -> ModulePath {
    of.iter().cloned().chain([name.to_owned()]).collect()
}

/// `src/cache/mod.rs` is `cache`, `src/cache/slab.rs` is `cache::slab`.
fn module_path(source: &Source) -> Option<(ModulePath, &Source)> {
    let inner = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut path: ModulePath = inner.split('/').map(str::to_owned).collect();
    path.pop_if(|last| last == "mod" || inner == "lib");
    Some((path, source))
}

/// `#[cfg(test)] mod x;`, `#[cfg(any(test, …))] pub mod x;`.
fn modules_of_tests(path: &[String], code: &str) -> Vec<ModulePath> {
    let mut found = Vec::new();
    let mut attributes = String::new();
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push_str(line);
        } else if !line.is_empty() {
            let name = words(line).skip_while(|word| *word != "mod").nth(1);
            let is_of_tests = attributes.contains("cfg(test)") || attributes.contains("cfg(any(test");
            found.extend(name.filter(|_| is_of_tests && line.ends_with(';')).map(|name| child(path, name)));
            attributes.clear();
        }
    }
    found
}

/// Where the next `use` item's path begins, and whether it is a re-export.
fn next_use(code: &str) -> Option<(usize, bool)> {
    let mut line_start = 0;
    for line in code.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let item = trimmed.strip_prefix("pub").map_or(trimmed, |rest| match rest.strip_prefix('(') {
            Some(scoped) => scoped.split_once(')').map_or("", |(_, rest)| rest).trim_start(),
            None => rest.trim_start(),
        });
        if let Some(path) = item.strip_prefix("use ") {
            return Some((line_start + line.len() - path.len(), trimmed.starts_with("pub")));
        }
        line_start += line.len();
    }
    None
}

/// `a::{b, c::{self, d as e}}` as single paths with the names they bind.
fn bindings(tree: &str) -> Vec<Binding> {
    let mut found = Vec::new();
    spread(&[], tree, &mut found);
    found
}

fn spread(before: &[String], tree: &str, found: &mut Vec<Binding>) {
    let tree = tree.trim();
    let segments =
        |text: &str| text.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let Some((head, group)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim().to_owned())));
        let mut path = [before, &segments(path)].concat();
        path.pop_if(|last| last == "self");
        if let Some(name) = alias.or_else(|| path.last().cloned()).filter(|_| !tree.is_empty()) {
            found.push(Binding { path, name });
        }
        return;
    };
    let before = [before, &segments(head)].concat();
    let (mut depth, mut start) = (0, 0);
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spread(&before, &group[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    spread(&before, &group[start..], found);
}

/// Everything of the form `a::b::c`.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let tokens = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let paths = tokens.filter(|token| token.contains("::") && !token.starts_with(':'));
    paths
        .map(|token| token.split("::").filter(|segment| !segment.is_empty()).map(str::to_owned).collect())
        .filter(|path: &Vec<String>| path.len() > 1)
        .collect()
}

fn reached<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(edges.get(file).into_iter().flatten().filter(|next| seen.insert(**next)));
    }
    seen
}

/// Type and number of methods of each `impl` block without a trait; blocks and methods stand where rustfmt puts them.
fn inherent_impls(code: &str) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut inside = false;
    for line in code.lines() {
        if line.starts_with("impl") {
            let head = without_generics(line.trim_start_matches("impl"));
            inside = !words(&head).any(|word| word == "for") && words(&head).next().is_some();
            found.extend(words(&head).last().filter(|_| inside).map(|name| (name.to_owned(), 0)));
        } else if line.starts_with('}') {
            inside = false;
        } else if inside && line.starts_with("    ") && !line.starts_with("     ") {
            let modifiers = ["pub", "super", "crate", "in", "const", "async", "unsafe"];
            let is_method = words(line).find(|word| !modifiers.contains(word)) == Some("fn");
            found.last_mut().expect("inside a block").1 += usize::from(is_method);
        }
    }
    found
}

/// `<'a, T: X> Thing<'a, T> where T: Y {` without what is in angle brackets and behind `where`.
fn without_generics(head: &str) -> String {
    let mut depth = 0;
    let head = head.replace("->", "");
    let kept = head.chars().filter(|c| {
        depth += i32::from(*c == '<');
        let outside = depth == 0;
        depth -= i32::from(*c == '>');
        outside
    });
    let kept: String = kept.collect();
    kept.split(" where ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> Modules {
        Modules::of(&files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>())
    }

    #[test]
    fn imports_are_followed_to_the_file_that_defines_the_name() {
        let modules = modules(&[
            ("src/lib.rs", "mod a;\nmod b;"),
            ("src/a/mod.rs", "mod door;\nmod inner;\npub use inner::{Inner as Shown, deep};\nmod left;"),
            ("src/a/inner.rs", "use std::fmt::Debug;\npub struct Inner;"),
            ("src/a/door.rs", "use super::Shown;\nfn f(x: crate::b::Other) {}"),
            ("src/a/left.rs", "use super::inner;\nfn f() -> inner::Inner { crate::a::deep() }"),
            ("src/b.rs", "use crate::a::{self, Shown};\npub struct Other;\n#[cfg(test)]\nmod tests {\n    use crate::a::left::X;\n}"),
        ]);
        let edges = modules.edges();
        let of = |file: &str| edges[file].iter().copied().collect::<Vec<_>>();
        assert_eq!(of("src/a/door.rs"), ["src/a/inner.rs", "src/b.rs"]);
        assert_eq!(of("src/a/left.rs"), ["src/a/inner.rs"]);
        assert_eq!(of("src/b.rs"), ["src/a/inner.rs", "src/a/mod.rs"]);
        assert_eq!(of("src/a/mod.rs"), [""; 0], "re-exports are no use");
        assert!(modules.circles().is_empty());
    }

    #[test]
    fn circles_are_seen() {
        let files = [
            ("src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
            ("src/a.rs", "use crate::b::B;\npub struct A;"),
            ("src/b.rs", "fn f() { crate::c::g() }\npub struct B;"),
            ("src/c.rs", "use super::a::A;\npub fn g() {}"),
            ("src/d.rs", "use crate::a::A;"),
        ];
        let circles = |files: &[(&str, &str)]| modules(files).circles().iter().map(|circle| circle.len()).collect::<Vec<_>>();
        assert_eq!(circles(&files), [3]);
        let in_tests =
            [files[0], files[1], files[2], ("src/c.rs", "pub fn g() {}\n#[cfg(test)]\nmod tests {\n    use super::a::A;\n}"), files[4]];
        assert_eq!(circles(&in_tests), [0; 0]);
        let test_module = [("src/lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod c;\nmod d;"), files[1], files[2], files[3], files[4]];
        assert_eq!(circles(&test_module), [0; 0]);
    }

    #[test]
    fn methods_are_counted_over_all_blocks_of_a_type() {
        let block =
            "impl Thing {\n    pub(super) async fn a(&self) {\n        fn inner() {}\n    }\n    const X: u8 = 1;\n    fn b() {}\n}\n";
        let modules = modules(&[
            ("src/lib.rs", "mod x;\nmod y;"),
            ("src/x/mod.rs", "pub struct Thing;\nmod more;"),
            ("src/x/more.rs", &format!("use super::Thing;\n{block}impl<'a> From<&'a u8> for Thing {{\n    fn from(x: &u8) {{}}\n}}\n")),
            (
                "src/y.rs",
                &format!(
                    "use crate::x::Thing;\nstruct Other<T>(T);\nimpl<T: Fn(&Thing) -> Option<u8>> Other<T> where T: Copy {{\n    fn c() {{}}\n}}\n{block}"
                ),
            ),
        ]);
        let methods: Vec<String> = modules.methods().iter().map(|of| format!("{} {} {:?}", of.name, of.count, of.folders)).collect();
        assert_eq!(methods, [r#"Thing 4 {"src", "src/x"}"#, r#"Other 1 {"src"}"#]);
    }
}
