//! The borders between folders, read from the sources: which words may not occur where.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder or file below the workspace (with everything under it) and what it may not say.
struct Border {
    place: &'static str,
    only_files: &'static [&'static str],
    forbidden: &'static [&'static str],
}

const fn everywhere(place: &'static str, forbidden: &'static [&'static str]) -> Border {
    Border {
        place,
        only_files: &[],
        forbidden,
    }
}

const BORDERS: &[Border] = &[
    everywhere(
        "shared/src/stock",
        &[
            "crate::settings",
            "crate::process",
            "crate::d365",
            "crate::redis_store",
            "crate::http",
            "async fn",
            "tokio::",
            "redis::",
            "reqwest::",
            "actix_web::",
            "f32",
            "f64",
        ],
    ),
    everywhere(
        "shared/src/settings",
        &[
            "crate::process",
            "crate::d365",
            "crate::redis_store",
            "crate::http",
            "tokio::",
            "redis::",
            "reqwest::",
            "actix_web::",
        ],
    ),
    everywhere(
        "shared/src/process",
        &[
            "crate::d365",
            "crate::redis_store",
            "crate::http",
            "redis::",
            "reqwest::",
        ],
    ),
    everywhere(
        "shared/src/d365",
        &[
            "crate::redis_store",
            "crate::http",
            "redis::",
            "actix_web::",
        ],
    ),
    everywhere(
        "shared/src/redis_store",
        &["crate::http", "reqwest::", "actix_web::"],
    ),
    everywhere("shared/src/http", &["redis::", "deadpool_redis::"]),
    everywhere(
        "inventory-api/src",
        &[
            "prefetch_worker::",
            "redis::",
            "deadpool_redis::",
            "reqwest::",
        ],
    ),
    everywhere(
        "prefetch-worker/src",
        &[
            "inventory_api::",
            "redis::",
            "deadpool_redis::",
            "reqwest::",
        ],
    ),
    Border {
        place: "inventory-api/src",
        only_files: &["availability.rs", "verdict.rs"],
        forbidden: &["async fn", "tokio::", "Clock"],
    },
    Border {
        place: "prefetch-worker/src",
        only_files: &["accumulator.rs", "page_walk.rs", "verdict.rs", "plan.rs"],
        forbidden: &["async fn", "tokio::", "Clock"],
    },
    everywhere("integration-tests/d365-simulator/src", &["shared::"]),
];

#[derive(PartialEq, Eq, Debug)]
struct Offence {
    file: PathBuf,
    line: usize,
    word: &'static str,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} may not be said here",
            self.file.display(),
            self.line,
            self.word
        )
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member lies in its workspace")
        .into()
}

/// Source files of a folder, and `x.rs` for `x/`.
fn sources(place: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![place.to_owned()];
    let face = place.with_extension("rs");
    if face.is_file() {
        files.push(face);
    }
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Whole words only: `redis::` does not occur in `deadpool_redis::`.
fn says(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let starts = !before.is_some_and(is_part);
        let ends = !word.ends_with(is_part) || !after.is_some_and(is_part);
        starts && ends
    })
}

fn offences_in(file: &Path, text: &str, forbidden: &[&'static str]) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for word in forbidden.iter().filter(|word| says(code, word)) {
            offences.push(Offence {
                file: file.to_owned(),
                line: at + 1,
                word,
            });
        }
    }
    offences
}

#[test]
fn every_folder_keeps_its_borders() {
    let mut offences = Vec::new();
    for border in BORDERS {
        let files: Vec<_> = sources(&workspace().join(border.place))
            .into_iter()
            .filter(|file| !file.ends_with("tests.rs"))
            .filter(|file| {
                border.only_files.is_empty()
                    || border.only_files.iter().any(|name| file.ends_with(name))
            })
            .collect();
        assert!(
            files.len() >= border.only_files.len().max(1),
            "the map is out of date: {} {:?}",
            border.place,
            border.only_files
        );
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            offences.extend(offences_in(&file, &text, border.forbidden));
        }
    }
    let found: Vec<_> = offences.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_services_do_not_depend_on_each_other() {
    for (service, other) in [
        ("inventory-api", "prefetch-worker"),
        ("prefetch-worker", "inventory-api"),
        ("integration-tests/d365-simulator", "shared"),
    ] {
        let manifest = fs::read_to_string(workspace().join(service).join("Cargo.toml")).unwrap();
        let depends = manifest.lines().any(|line| {
            line.starts_with(&format!("{other}.")) || line.starts_with(&format!("{other} ="))
        });
        assert!(!depends, "{service} depends on {other}");
    }
}

#[test]
fn the_test_bites() {
    let file = Path::new("x.rs");
    let count = |text: &str| offences_in(file, text, &["redis::", "f64", "async fn"]).len();
    assert_eq!(count("use redis::Client;"), 1);
    assert_eq!(count("use deadpool_redis::Pool;"), 0);
    assert_eq!(count("// redis::Client is elsewhere"), 0);
    assert_eq!(count("let x: f64 = 0.0;"), 1);
    assert_eq!(count("let f64x = my_f64;"), 0);
    assert_eq!(count("async fn read() {}"), 1);
    assert_eq!(
        count("fn a() {}\n#[cfg(test)]\nmod tests { use redis::Client; }"),
        0
    );
}
