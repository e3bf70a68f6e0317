//! The floors of the house: every file of `src` imports only from floors below its own, and never in a
//! circle.
//!
//! An import counts for the file that defines the item, not for the facade (`mod.rs`, `lib.rs`) that
//! re-exports it. A facade that only re-exports what lies in its own directory imports nothing. Tests and
//! documentation may import anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// The rooms from the lowest to the highest: a name, its floor, and its step on that floor. A room imports
/// from itself and from rooms with a lower floor, or with the same floor and a lower step.
const ROOMS: &[(&str, u8, u8)] = &[
    ("frame", 0, 0),
    ("setters", 0, 0),
    ("wheel", 1, 0),
    ("deflate", 1, 0),
    ("config", 1, 1),
    ("handshake", 1, 2),
    ("protocol", 1, 2),
    ("transport", 2, 0),
    ("stream", 3, 0),
    ("owned_message", 4, 0),
    ("tls", 4, 0),
    ("util", 4, 0),
    ("client", 4, 1),
    ("server", 4, 1),
    ("testing", 4, 2),
    ("tokio", 4, 2),
    ("axum", 4, 3),
    // Documentation only.
    ("guarantees", 5, 0),
    ("guide", 5, 0),
    ("lib", 5, 1),
];

/// From a file to a file, with a line and a name for each reason.
type Edges = BTreeMap<String, BTreeMap<String, BTreeSet<(usize, String)>>>;

#[derive(Default)]
struct Module {
    file: String,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths with `::` outside `use`.
    paths: Vec<(usize, Vec<String>)>,
    words: BTreeSet<String>,
    macros: Vec<(usize, String)>,
}

struct Import {
    line: usize,
    public: bool,
    path: Vec<String>,
    /// `*` for a glob.
    name: String,
}

/// Modules by their path: `""` is the crate, `frame::mask` is `src/frame/mask/mod.rs`.
#[derive(Default)]
struct Tree {
    modules: BTreeMap<String, Module>,
    tests: BTreeSet<String>,
    /// The file that defines a macro.
    macros: BTreeMap<String, String>,
}

impl Tree {
    fn read(source: &Path) -> Self {
        let mut tree = Self::default();
        let mut directories = vec![source.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in directory.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let file = path.strip_prefix(source).unwrap().to_str().unwrap().replace('\\', "/");
                    tree.add(&file, &std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        tree
    }

    fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        files.iter().for_each(|(file, text)| tree.add(file, text));
        tree
    }

    fn add(&mut self, file: &str, text: &str) {
        let path = file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
        let path = if path == "lib" { "" } else { &path };
        self.block(&tokens(text), 0, path, file);
    }

    /// Reads the items of a module up to its closing brace. Returns the index behind it.
    fn block(&mut self, tokens: &[(usize, &str)], mut i: usize, at: &str, file: &str) -> usize {
        let text = |i: usize| tokens.get(i).map_or("", |token| token.1);
        // An inline module can be declared more than once: `cfg` chooses.
        let mut module = self.modules.remove(at).unwrap_or_default();
        file.clone_into(&mut module.file);
        let (mut depth, mut public) = (0_usize, false);
        while i < tokens.len() {
            let line = tokens[i].0;
            match text(i) {
                "#" if text(i + 1) == "[" || text(i + 1) == "!" => {
                    let end = behind_brackets(tokens, i + 1);
                    let words: Vec<_> = (i..end).map(text).filter(|word| *word != "!").collect();
                    assert_ne!(words[2], "path", "{file}:{line}: this test does not know #[path]");
                    let only_tests = words[2] == "cfg" && words.contains(&"test");
                    i = end;
                    if only_tests && !words.contains(&"any") && !words.contains(&"not") {
                        let end = behind_item(tokens, i);
                        if let [.., (_, "mod"), (_, name), (_, ";")] = tokens[i..end] {
                            self.tests.insert(join(at, name));
                        }
                        i = end;
                    }
                    continue;
                }
                "pub" => {
                    public = true;
                    i = if text(i + 1) == "(" { behind_brackets(tokens, i + 1) } else { i + 1 };
                    continue;
                }
                "use" if text(i + 1) != "<" => {
                    i = import(tokens, i + 1, public, &[], &mut module.imports);
                }
                "mod" if text(i + 2) == "{" => i = self.block(tokens, i + 3, &join(at, text(i + 1)), file),
                "mod" if text(i + 2) == ";" => i += 3,
                "macro_rules" => {
                    self.macros.insert(text(i + 2).to_owned(), file.to_owned());
                    module.defined.insert(text(i + 2).to_owned());
                    i += 3;
                }
                "}" if depth == 0 => {
                    i += 1;
                    break;
                }
                brace @ ("{" | "}") => {
                    depth = if brace == "{" { depth + 1 } else { depth - 1 };
                    i += 1;
                }
                word if is_word(word) => {
                    if depth == 0 && DEFINES.contains(&word) {
                        module.defined.insert(text(i + 1).to_owned());
                    }
                    let mut path = vec![word.to_owned()];
                    let before = [i.wrapping_sub(2), i.wrapping_sub(1)].map(text);
                    let method = before[1] == "::" || before[1] == "." && before[0] != ".";
                    i += 1;
                    while text(i) == "::" && is_word(text(i + 1)) {
                        path.push(text(i + 1).to_owned());
                        i += 2;
                    }
                    if method {
                    } else if path.len() > 1 {
                        module.words.insert(path[0].clone());
                        module.paths.push((line, path));
                    } else if text(i) == "!" {
                        module.macros.extend(path.into_iter().map(|name| (line, name)));
                    } else {
                        module.words.extend(path);
                    }
                }
                _ => i += 1,
            }
            public = false;
        }
        self.modules.insert(at.to_owned(), module);
        i
    }

    /// The modules that a path may mean, or whose items it may mean: more than one only if `cfg` chooses.
    /// The flag is true for a whole module. Other crates have no modules here.
    fn resolve(&self, at: &str, path: &[String], known: bool, fuel: u8) -> Vec<(String, bool)> {
        let Some(module) = self.modules.get(at).filter(|_| fuel > 0) else { return Vec::new() };
        let Some((first, rest)) = path.split_first() else { return vec![(at.to_owned(), true)] };
        match first.as_str() {
            "crate" => return self.resolve("", rest, true, fuel),
            "self" => return self.resolve(at, rest, true, fuel),
            "super" => return self.resolve(parent(at), rest, true, fuel),
            name if self.modules.contains_key(&join(at, name)) => {
                return self.resolve(&join(at, name), rest, true, fuel);
            }
            _ => (),
        }
        let mut found = Vec::new();
        for import in module.imports.iter().filter(|import| import.name == *first) {
            found.extend(self.resolve(at, &[&import.path, rest].concat(), false, fuel - 1));
        }
        if found.is_empty() && !module.defined.contains(first) {
            for import in module.imports.iter().filter(|import| import.name == "*") {
                for (other, whole) in self.resolve(at, &import.path, false, fuel - 1) {
                    if whole && other != at && self.names(&other).contains(first) {
                        found.extend(self.resolve(&other, path, true, fuel - 1));
                    }
                }
            }
        }
        if found.is_empty() && (known || module.defined.contains(first)) {
            found.push((at.to_owned(), false));
        }
        found
    }

    /// What a glob import of a module may bring.
    fn names(&self, at: &str) -> BTreeSet<String> {
        let children = self.modules.keys().filter(|key| !key.is_empty() && parent(key) == at);
        let children = children.map(|key| key.rsplit("::").next().unwrap().to_owned());
        let module = &self.modules[at];
        let imported = module.imports.iter().map(|import| import.name.clone());
        children.chain(imported).chain(module.defined.iter().cloned()).collect()
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        let mut add = |from: &Module, to: &str, line: usize, name: &str| {
            if from.file != to {
                let targets = edges.entry(from.file.clone()).or_default();
                targets.entry(to.to_owned()).or_default().insert((line, name.to_owned()));
            }
        };
        let of_tests = |path: &str| self.tests.iter().any(|test| within(path, test));
        for (at, module) in self.modules.iter().filter(|(at, _)| !of_tests(at)) {
            for (line, path) in &module.paths {
                for (target, _) in self.resolve(at, path, false, 8) {
                    add(module, &self.modules[&target].file, *line, &path.join("::"));
                }
            }
            for (line, name) in &module.macros {
                let defined = self.macros.get(name).filter(|_| !module.defined.contains(name));
                defined.into_iter().for_each(|file| add(module, file, *line, name));
            }
            for import in &module.imports {
                for (target, whole) in self.resolve(at, &import.path, false, 8) {
                    if import.name == "*" && whole {
                        for name in self.names(&target).intersection(&module.words) {
                            for (target, _) in self.resolve(&target, std::slice::from_ref(name), true, 8) {
                                add(module, &self.modules[&target].file, import.line, name);
                            }
                        }
                    } else if !import.public || !within(&target, at) || module.words.contains(&import.name) {
                        add(module, &self.modules[&target].file, import.line, &import.name);
                    }
                }
            }
        }
        edges
    }

    /// Everything that is wrong: rooms without a floor, edges to a higher floor, and circles.
    fn faults(&self) -> Vec<String> {
        let edges = self.edges();
        let files: BTreeSet<_> = self.modules.values().map(|module| &module.file).collect();
        let unknown = files.iter().filter(|file| floor(file).is_none());
        let mut faults: Vec<_> =
            unknown.map(|file| format!("{file} is in a room that ROOMS does not list")).collect();
        for (from, to) in edges.iter().flat_map(|(from, targets)| targets.keys().map(move |to| (from, to))) {
            if room(from) != room(to) && floor(to) >= floor(from) {
                faults.push(format!("not downwards: {from} -> {to}\n{}", reason(&edges, from, to)));
            }
        }
        for circle in circles(&edges) {
            let reasons = circle.windows(2).map(|pair| reason(&edges, &pair[0], &pair[1]));
            faults.push(format!("circle: {}\n{}", circle.join(" -> "), reasons.collect::<String>()));
        }
        faults
    }
}

const DEFINES: [&str; 8] = ["struct", "enum", "union", "trait", "fn", "const", "static", "type"];

fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

fn floor(file: &str) -> Option<(u8, u8)> {
    ROOMS.iter().find(|(name, ..)| *name == room(file)).map(|&(_, floor, step)| (floor, step))
}

fn reason(edges: &Edges, from: &str, to: &str) -> String {
    let (mut listed, mut text) = (BTreeSet::new(), format!("    {from} uses"));
    for (line, name) in &edges[from][to] {
        let known = name.split_once("::").is_some_and(|(first, _)| listed.contains(first));
        if !known && listed.insert(name.as_str()) {
            text += &format!(" {name} (line {line}),");
        }
    }
    text.trim_end_matches(',').to_owned() + "\n"
}

/// For each edge of a circle the shortest circle through it, each of them once and the shortest first.
fn circles(edges: &Edges) -> Vec<Vec<String>> {
    let mut found = BTreeSet::new();
    for (from, to) in edges.iter().flat_map(|(from, targets)| targets.keys().map(move |to| (from, to))) {
        let mut before = BTreeMap::from([(to, to)]);
        let mut queue = VecDeque::from([to]);
        while let Some(file) = queue.pop_front().filter(|file| *file != from) {
            for next in edges.get(file).into_iter().flat_map(BTreeMap::keys) {
                before.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    file
                });
            }
        }
        if before.contains_key(from) {
            let mut circle = vec![from];
            while circle.last() != Some(&to) {
                circle.push(before[circle[circle.len() - 1]]);
            }
            circle.reverse();
            let lowest = (0..circle.len()).min_by_key(|&i| circle[i]).unwrap();
            circle.rotate_left(lowest);
            circle.push(circle[0]);
            found.insert((circle.len(), circle.into_iter().cloned().collect::<Vec<_>>()));
        }
    }
    found.into_iter().map(|(_, circle)| circle).collect()
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}::{name}") }
}

fn parent(at: &str) -> &str {
    at.rsplit_once("::").map_or("", |(parent, _)| parent)
}

/// Whether a module is another one or lies in it.
fn within(path: &str, other: &str) -> bool {
    other.is_empty() || path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads a tree of imports. Returns the index behind it.
fn import(
    tokens: &[(usize, &str)],
    mut i: usize,
    public: bool,
    prefix: &[String],
    imports: &mut Vec<Import>,
) -> usize {
    let mut path = prefix.to_vec();
    i += usize::from(tokens[i].1 == "::");
    while is_word(tokens[i].1) {
        if tokens[i].1 != "self" || path.is_empty() {
            path.push(tokens[i].1.to_owned());
        }
        i += 1;
        if tokens[i].1 != "::" {
            break;
        }
        i += 1;
    }
    let (line, next) = tokens[i];
    let mut name = path.last().cloned().unwrap_or_default();
    match next {
        "{" => {
            i += 1;
            while tokens[i].1 != "}" {
                i = import(tokens, i, public, &path, imports);
                i += usize::from(tokens[i].1 == ",");
            }
            return i + 1;
        }
        "*" => (name, i) = ("*".to_owned(), i + 1),
        "as" => (name, i) = (tokens[i + 1].1.to_owned(), i + 2),
        _ => (),
    }
    imports.push(Import { line, public, path, name });
    i
}

/// From `[`, `(`, `{` or a token before it, to the index behind its counterpart.
fn behind_brackets(tokens: &[(usize, &str)], mut i: usize) -> usize {
    let mut depth = 0;
    loop {
        match tokens[i].1 {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 1 => return i + 1,
            ")" | "]" | "}" => depth -= 1,
            _ => (),
        }
        i += 1;
    }
}

/// The index behind an item, a field, a statement or an arm.
fn behind_item(tokens: &[(usize, &str)], mut i: usize) -> usize {
    let mut item = false;
    while i < tokens.len() {
        match tokens[i].1 {
            ";" => return i + 1,
            "," if !item => return i + 1,
            "{" => return behind_brackets(tokens, i),
            "}" => return i,
            "(" | "[" => i = behind_brackets(tokens, i),
            word => {
                item |= DEFINES.contains(&word) || word == "impl";
                i += 1;
            }
        }
    }
    i
}

/// Words and signs with their lines, without comments, literals and lifetimes.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let raw = rest[word..].trim_start_matches('#');
        let hashes = rest[word..].len() - raw.len();
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if ["r", "br", "cr"].contains(&&rest[..word]) && raw.starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = word + hashes + 1;
            start + rest[start..].find(&end).unwrap() + end.len()
        } else if first == '"' || rest.starts_with("'\\") {
            quoted(rest)
        } else if first == '\'' {
            let mut after = rest.char_indices().skip(2);
            after.next().filter(|(_, c)| *c == '\'').map_or_else(
                || 1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1),
                |(i, _)| i + 1,
            )
        } else {
            let length = if word > 0 { word } else { 1 + usize::from(rest.starts_with("::")) };
            let length = if word > 0 || first.is_ascii() { length } else { first.len_utf8() };
            if !first.is_whitespace() {
                found.push((line, &rest[..length]));
            }
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length of a literal in quotes.
fn quoted(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut i = 1;
    while bytes[i] != bytes[0] {
        i += 1 + usize::from(bytes[i] == b'\\');
    }
    i + 1
}

/// The length of a comment that may hold others.
fn comment(text: &str) -> usize {
    let (mut depth, mut i) = (0, 0);
    loop {
        let (step, length) = match &text.as_bytes()[i..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += step;
        i += length;
        if depth == 0 {
            return i;
        }
    }
}

#[test]
fn files_import_downwards_and_never_in_a_circle() {
    let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(tree.modules.len() > 50 && tree.edges().len() > 40, "this test must find the library's imports");
    let faults = tree.faults();
    assert!(faults.is_empty(), "{} faults\n\n{}", faults.len(), faults.join("\n"));
}

/// The edges of a tree, as `from -> to`.
fn edges_of(files: &[(&str, &str)]) -> Vec<String> {
    let edges = Tree::of(files).edges();
    edges.iter().flat_map(|(from, to)| to.keys().map(move |to| format!("{from} -> {to}"))).collect()
}

#[test]
fn an_import_upwards_is_a_fault() {
    let lib = ("lib.rs", "pub mod frame; mod stream; pub use stream::Stream;");
    let frame =
        "// A comment's use crate::stream::Stream; is none.\nuse crate::Stream;\npub struct Frame(Stream);";
    let tree = Tree::of(&[lib, ("frame/mod.rs", frame), ("stream.rs", "pub struct Stream;")]);
    assert_eq!(
        tree.faults(),
        ["not downwards: frame/mod.rs -> stream.rs\n    frame/mod.rs uses Stream (line 2)\n"]
    );
}

#[test]
fn rooms_on_one_step_import_nothing_from_each_other() {
    let lib = ("lib.rs", "mod handshake; mod protocol;");
    let tree =
        Tree::of(&[lib, ("protocol.rs", "use crate::handshake::Key;"), ("handshake.rs", "pub struct Key;")]);
    assert!(tree.faults()[0].starts_with("not downwards: protocol.rs -> handshake.rs"));
}

#[test]
fn a_room_without_a_floor_is_a_fault() {
    assert_eq!(
        Tree::of(&[("attic/mod.rs", "")]).faults(),
        ["attic/mod.rs is in a room that ROOMS does not list"]
    );
}

#[test]
fn a_circle_is_a_fault() {
    let tree = Tree::of(&[
        ("frame/mod.rs", "mod a; mod b; mod c;"),
        ("frame/a.rs", "use super::b::B; pub struct A(B);"),
        ("frame/b.rs", "pub struct B(super::c::C);"),
        ("frame/c.rs", "pub struct C; fn f() { super::a::A::new(); }"),
    ]);
    let circle = "circle: frame/a.rs -> frame/b.rs -> frame/c.rs -> frame/a.rs\n";
    assert!(tree.faults().concat().starts_with(circle), "{:?}", tree.faults());
}

#[test]
fn a_circle_through_a_facade_is_a_fault() {
    let tree = Tree::of(&[
        ("lib.rs", "mod frame; pub use frame::A;"),
        ("frame/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use {b::B as Renamed};"),
        ("frame/a.rs", "use super::Renamed;"),
        ("frame/b.rs", "use crate::{A}; pub struct B(A);"),
    ]);
    let faults = tree.faults();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("circle: frame/a.rs -> frame/b.rs -> frame/a.rs\n"), "{}", faults[0]);
}

#[test]
fn a_facade_imports_only_what_its_own_code_uses() {
    let files = |code| {
        let facade = format!("mod a; pub use a::{{A, other}}; {code}");
        edges_of(&[("frame/mod.rs", &facade), ("frame/a.rs", "use super::Base; pub struct A(Base);")])
    };
    assert_eq!(files("pub struct Base;"), ["frame/a.rs -> frame/mod.rs"]);
    let circle = ["frame/a.rs -> frame/mod.rs", "frame/mod.rs -> frame/a.rs"];
    assert_eq!(files("pub struct Base; fn f(a: A) {}"), circle);
    assert_eq!(files("pub struct Base; fn f() { a::g() }"), circle);
}

#[test]
fn braces_globs_macros_and_names_of_every_kind_are_read() {
    let user = "use super::{a::{self, A}, c::d::*}; use self::inner::X; use std::fmt as b;
        mod inner { pub struct X; fn f<'b>() -> char { super::super::b::f('\\'', '{', \"{ super::g::G\", r#\"\"{\"#) } }
        fn g() { E; made!(); }";
    let files = [
        ("frame/mod.rs", "mod user; pub mod a; mod b; mod c; mod e; mod g; pub(self) use e as f;"),
        ("frame/user.rs", user),
        ("frame/a.rs", "pub struct A;"),
        ("frame/b.rs", "pub fn f() {}"),
        ("frame/c/mod.rs", "pub mod d;"),
        ("frame/c/d.rs", "pub use super::super::f::{E, F};"),
        ("frame/e.rs", "pub enum E {}"),
        ("frame/g.rs", "macro_rules! made { () => {} }"),
    ];
    let expected = [
        "frame/c/d.rs -> frame/e.rs",
        "frame/user.rs -> frame/a.rs",
        "frame/user.rs -> frame/b.rs",
        "frame/user.rs -> frame/e.rs",
        "frame/user.rs -> frame/g.rs",
    ];
    assert_eq!(edges_of(&files), expected);
}

#[test]
fn tests_import_what_they_like() {
    let code = "#[cfg(test)] mod tests; #[cfg(all(test, unix))] mod more { use super::b::B; }
        #[cfg(test)] #[allow(x)] pub(crate) mod support; #[cfg(test)] use b::B; mod a; mod b; struct S { #[cfg(test)] b: b::B, a: a::A }";
    let files = [
        ("frame/mod.rs", code),
        ("frame/tests.rs", "use super::*; use super::b;"),
        ("frame/support/mod.rs", "mod more;"),
        ("frame/support/more.rs", "use crate::frame::b::B;"),
        ("frame/a.rs", ""),
        ("frame/b.rs", ""),
    ];
    assert_eq!(edges_of(&files), ["frame/mod.rs -> frame/a.rs"]);
}
