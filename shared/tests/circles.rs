//! No file imports a file that imports it back, directly or through others; read from the sources.
//!
//! An import is a path that begins with `crate`, `super`, `self` or the name of a child module, in a `use` or
//! in code. So a facade's `pub use child::X` is one of the child, and a child's `use super::X` one of the
//! facade. Tests within a file do not count.

#![expect(clippy::unwrap_used, reason = "this is test code throughout")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const CRATES: [&str; 7] = [
    "shared",
    "inventory-api",
    "prefetch-worker",
    "integration-tests",
    "integration-tests/launcher",
    "integration-tests/d365-simulator",
    "integration-tests/deterministic",
];

/// A module by its path below the crate's root; the root itself is empty.
type Module = Vec<String>;

/// Every module of a crate and its text, programs below `bin` and files of tests left out.
fn modules(source: &Path) -> BTreeMap<Module, String> {
    let mut modules = BTreeMap::new();
    let mut waiting = vec![source.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let below = path.strip_prefix(source).unwrap().with_extension("");
            let module: Module = below
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            let is_left_out = module[0] == "bin" || module.iter().any(|part| part == "tests");
            if is_left_out {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_root =
                    module == ["lib"] || module == ["main"] && !source.join("lib.rs").exists();
                let module = if is_root { Module::new() } else { module };
                modules.insert(module, fs::read_to_string(&path).unwrap());
            }
        }
    }
    modules
}

/// Names and punctuation of a file, without comments, texts, and the tests at its end.
fn tokens(text: &str) -> Vec<String> {
    let text = text.find("#[cfg(test)]\nmod ").map_or(text, |at| {
        let is_inline = text[at..]
            .lines()
            .nth(1)
            .is_some_and(|line| line.ends_with('{'));
        if is_inline { &text[..at] } else { text }
    });
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("'\"'") {
            3
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if first == '"' {
            let mut is_escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if is_part(first) {
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if matches!(first, '{' | '}' | ',' | ';') {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Adds the paths that begin at a token, after what is before; where they end.
fn paths_at(tokens: &[String], mut at: usize, before: &[String], paths: &mut Vec<Module>) -> usize {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" && tokens[at - 1] == "::" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                at = paths_at(tokens, at, &path, paths).max(at + 1);
            }
            return at + 1;
        }
        if !token.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            if path.len() > before.len() {
                // Everything in it.
                path.push("*".to_owned());
            }
            break;
        }
        path.push(token.clone());
        at += 1;
        if tokens.get(at).is_none_or(|next| next != "::") {
            break;
        }
        at += 1;
    }
    // One name alone is no path.
    if path.len() > before.len().max(1) {
        paths.push(path);
    }
    at
}

fn imports(module: &Module, text: &str, modules: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let (tokens, mut paths, mut at) = (tokens(text), Vec::new(), 0);
    while at < tokens.len() {
        at = paths_at(&tokens, at, &[], &mut paths).max(at + 1);
    }
    let child = |name: &String| [module.clone(), vec![name.clone()]].concat();
    let mut imports = BTreeSet::new();
    for path in paths {
        let mut base = module.clone();
        let mut names = path.as_slice();
        match names[0].as_str() {
            "crate" => {
                base.clear();
                names = &names[1..];
            }
            "super" | "self" => {
                while let [first, rest @ ..] = names
                    && (first == "super" || first == "self")
                {
                    if first == "super" {
                        base.pop();
                    }
                    names = rest;
                }
            }
            _ if names.len() > 1 && modules.contains_key(&child(&names[0])) => {}
            _ => continue,
        }
        let full = [base, names.to_vec()].concat();
        let mut prefixes = (0..=full.len()).rev().map(|length| full[..length].to_vec());
        let imported = prefixes.find(|prefix| modules.contains_key(prefix));
        imports.extend(imported.filter(|imported| imported != module));
    }
    imports
}

type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// What a file imports, directly or through others.
fn reached<'g>(graph: &'g Graph, from: &'g Module) -> BTreeSet<&'g Module> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(module) = waiting.pop() {
        waiting.extend(graph[module].iter().filter(|next| reached.insert(*next)));
    }
    reached
}

/// Files that import themselves through others: each with those of its imports that lead back.
fn circles(modules: &BTreeMap<Module, String>) -> BTreeMap<String, Vec<String>> {
    let graph: Graph = modules
        .iter()
        .map(|(module, text)| (module.clone(), imports(module, text, modules)))
        .collect();
    let mut circles = BTreeMap::new();
    for (module, imports) in &graph {
        let leads_back = |import: &&Module| reached(&graph, import).contains(module);
        let back: Vec<_> = imports.iter().filter(leads_back).collect();
        if !back.is_empty() {
            let back = back.iter().map(|import| import.join("/")).collect();
            circles.insert(module.join("/"), back);
        }
    }
    circles
}

#[test]
fn no_file_imports_one_that_imports_it_back() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for package in CRATES {
        let modules = modules(&workspace.join(package).join("src"));
        assert!(modules.len() > 1, "the list is out of date: {package}");
        for (file, back) in circles(&modules) {
            found.push(format!("{package}: {file} imports {}", back.join(", ")));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_test_bites() {
    let circle_of = |files: &[(&str, &str)]| {
        let modules = files.iter().map(|(file, text)| {
            let parts = file.split('/').filter(|part| !part.is_empty());
            (parts.map(str::to_owned).collect(), (*text).to_owned())
        });
        circles(&modules.collect()).into_keys().collect::<Vec<_>>()
    };
    let facade = ("a", "mod b;\nmod c;\npub use b::{B, Other as O};");
    for (files, expected) in [
        (
            vec![facade, ("a/b", "struct B;"), ("a/c", "use super::b::B;")],
            vec![],
        ),
        (
            vec![
                facade,
                ("a/b", "use super::c::C;"),
                ("a/c", "use super::B;"),
            ],
            vec!["a", "a/b", "a/c"],
        ),
        (
            vec![
                ("a", "fn a() { crate::b::f() }"),
                ("b", "use crate::{a::{self, A}, c};"),
            ],
            vec!["a", "b"],
        ),
        (
            vec![
                ("a", "// crate::b\nlet x = \"crate::b::f\";"),
                ("b", "use crate::a::A;"),
            ],
            vec![],
        ),
        (
            vec![
                ("a", "x;\n#[cfg(test)]\nmod tests {\n use crate::b::f; }"),
                ("b", "use crate::a::A;"),
            ],
            vec![],
        ),
    ] {
        assert_eq!(circle_of(&files), expected, "{files:?}");
    }
}
