//! Which file of a crate uses which other one: the module tree, and every path in imports and code,
//! resolved as the compiler does.
//!
//! A path that leads over a re-export counts for the file that it ends in, not for the one that
//! passes it on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::source::{Source, sources};

/// A path, segment by segment.
type Path = Vec<String>;

/// One import: the name it has here, and what it names.
struct Import {
    name: String,
    path: Path,
    passed_on: bool,
}

/// One module with a file of its own.
struct Module {
    file: String,
    children: BTreeSet<String>,
    imports: Vec<Import>,
    /// The code without its imports.
    code: String,
}

/// The modules of one crate, by their path from its root.
pub(crate) struct Modules(HashMap<Path, Module>);

impl Modules {
    /// Of a crate, from `lib.rs` on.
    pub(crate) fn of(member: &str) -> Self {
        let files: BTreeMap<_, _> = sources()
            .into_iter()
            .map(|source| (source.path.clone(), source))
            .collect();
        let mut modules = Self(HashMap::new());
        let root = format!("{member}/src");
        modules.read(&files, format!("{root}/lib.rs"), &root, Vec::new());
        modules
    }

    fn read(
        &mut self,
        files: &BTreeMap<String, Source>,
        file: String,
        directory: &str,
        path: Path,
    ) {
        let Some(source) = files.get(&file) else {
            panic!("{file} is not there");
        };
        let shipped = source.shipped();
        let (imports, code) = split(&shipped);
        let children: BTreeSet<_> = code.lines().filter_map(declared).collect();
        for child in &children {
            let inner = format!("{directory}/{child}");
            let own = [format!("{inner}.rs"), format!("{inner}/mod.rs")];
            let Some(file) = own.into_iter().find(|file| files.contains_key(file)) else {
                continue;
            };
            let path = path.iter().chain([child]).cloned().collect();
            self.read(files, file, &inner, path);
        }
        let module = Module {
            file,
            children,
            imports,
            code,
        };
        self.0.insert(path, module);
    }

    /// Each file with those that it uses.
    pub(crate) fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let used = |(path, module): (&Path, &Module)| {
            let imported = module.imports.iter().filter(|import| {
                // What is only passed on is used by those who take it.
                !import.passed_on || mentions(&module.code, &import.name)
            });
            let imported = imported.map(|import| import.path.clone());
            let known = module.imports.iter().map(|import| import.name.as_str());
            let known = known.chain(module.children.iter().map(String::as_str));
            let inline = inline(&module.code, &known.collect());
            let files = imported.chain(inline);
            let files = files.filter_map(|used| self.file(path, &used, 0));
            files.filter(|file| *file != module.file).collect()
        };
        let each = self.0.iter();
        each.map(|entry| (entry.1.file.as_str(), used(entry)))
            .collect()
    }

    /// The file that a path named in a module leads to, if it is one of this crate.
    fn file(&self, from: &Path, named: &[String], depth: usize) -> Option<&str> {
        let (first, rest) = named.split_first()?;
        let here = self.0.get(from)?;
        let parent = || from.split_last().map(|(_, parent)| parent.to_vec());
        match first.as_str() {
            "crate" => self.down(Vec::new(), rest, depth),
            "self" => self.down(from.clone(), rest, depth),
            "super" => {
                let parent = parent()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.file(&parent, rest, depth),
                    _ => self.down(parent, rest, depth),
                }
            }
            name if here.children.contains(name) => self.down(from.clone(), named, depth),
            name => {
                let import = here.imports.iter().find(|import| import.name == name)?;
                let path: Path = import.path.iter().chain(rest).cloned().collect();
                (depth < 9 && import.path.first() != Some(first))
                    .then(|| self.file(from, &path, depth + 1))?
            }
        }
    }

    /// From a module down.
    fn down(&self, mut at: Path, named: &[String], depth: usize) -> Option<&str> {
        let mut rest = named;
        while let Some((name, deeper)) = rest.split_first() {
            let mut child = at.clone();
            child.push(name.clone());
            if !self.0.contains_key(&child) {
                break;
            }
            (at, rest) = (child, deeper);
        }
        let module = self.0.get(&at)?;
        let passed = rest.first().and_then(|name| {
            let import = module.imports.iter().find(|it| it.name == *name)?;
            let path: Path = import.path.iter().chain(rest.get(1..)?).cloned().collect();
            (depth < 9).then(|| self.file(&at, &path, depth + 1))?
        });
        Some(passed.unwrap_or(&module.file))
    }
}

/// `mod name;`, with whatever stands before it.
fn declared(line: &str) -> Option<String> {
    let (before, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    let is_item = before.is_empty() || before.starts_with("pub");
    (is_item && name.chars().all(is_word)).then(|| name.to_owned())
}

/// Imports, and the code without them.
fn split(shipped: &str) -> (Vec<Import>, String) {
    let (mut imports, mut code) = (Vec::new(), String::new());
    let mut lines = shipped.lines();
    while let Some(line) = lines.next() {
        let item = line.trim_start();
        let (before, tree) = match item.split_once("use ") {
            Some((before, tree)) if before.is_empty() || before.starts_with("pub") => {
                (before, tree)
            }
            _ => {
                code.push_str(line);
                code.push('\n');
                continue;
            }
        };
        let mut tree = tree.to_owned();
        while !tree.contains(';')
            && let Some(more) = lines.next()
        {
            tree.push_str(more);
        }
        let tree: String = tree.trim_end_matches(';').to_owned();
        for (path, name) in branches(&tree) {
            imports.push(Import {
                name,
                path,
                passed_on: !before.is_empty(),
            });
        }
    }
    (imports, code)
}

/// The paths of an import, each with its name: `a::{b, c::{self, d as e}}` has three.
fn branches(tree: &str) -> Vec<(Path, String)> {
    let tree = tree.trim().trim_start_matches("::");
    if let Some((before, group)) = tree.split_once('{')
        && !before.contains(',')
    {
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        let before: Path = words(before);
        let inner = parts(group).into_iter().flat_map(branches);
        return inner
            .map(|(path, name)| {
                let own = path.first().is_some_and(|first| first == "self") && path.len() == 1;
                let path: Path = if own {
                    before.clone()
                } else {
                    before.iter().chain(&path).cloned().collect()
                };
                let name = match name.as_str() {
                    "self" => before.last().cloned().unwrap_or_default(),
                    _ => name,
                };
                (path, name)
            })
            .collect();
    }
    let (path, name) = match tree.split_once(" as ") {
        Some((path, name)) => (words(path), name.trim().to_owned()),
        None => (words(tree), words(tree).pop().unwrap_or_default()),
    };
    if path.is_empty() {
        return Vec::new();
    }
    vec![(path, name)]
}

/// What stands between the commas of a group, groups in it kept whole.
fn parts(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn words(path: &str) -> Path {
    let words = path.split("::").map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Paths in code that begin with a word of the language for a place, or with a name that is known.
fn inline(code: &str, known: &BTreeSet<&str>) -> Vec<Path> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(is_word) {
        let end = rest[start..]
            .find(|c| !is_word(c) && c != ':')
            .map_or(rest.len(), |length| start + length);
        let path = words(&rest[start..end]);
        let after = rest[..start].ends_with("::");
        let first = path.first().map_or("", String::as_str);
        let begins = matches!(first, "crate" | "super" | "self") || known.contains(first);
        if path.len() > 1 && begins && !after {
            found.push(path);
        }
        rest = &rest[end..];
    }
    found
}

fn mentions(code: &str, name: &str) -> bool {
    code.split(|c| !is_word(c)).any(|word| word == name)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let text = "use crate::{\n    address::{Address as A, Sender},\n    smtp::reply::{self, Reply},\n};\n\
        pub use x::Y;\nlet x = crate::net::dial();\nlet z = y::of(A::new());\n";
    let (imports, code) = split(text);
    let found: Vec<_> = imports
        .iter()
        .map(|import| format!("{} = {}", import.name, import.path.join("::")))
        .collect();
    let expected = [
        "A = crate::address::Address",
        "Sender = crate::address::Sender",
        "reply = crate::smtp::reply",
        "Reply = crate::smtp::reply::Reply",
        "Y = x::Y",
    ];
    assert_eq!(found, expected);
    let paths = inline(&code, &BTreeSet::from(["A", "y"]));
    let paths: Vec<_> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::net::dial", "y::of", "A::new"]);
}
