//! A configuration file, as TOML and as properties of the original connector: settings or a message,
//! never a panic. And a good one with secrets in it, into which the bytes are put at the place that
//! their first two say: whatever comes of it, no secret shows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::settings::Layers;
use std::path::PathBuf;
use std::sync::LazyLock;

/// What every secret of the good files holds.
const MARK: &str = "k4n4ry";
const GOOD: &str = include_str!("good.toml");
const GOOD_PROPERTIES: &str = include_str!("good.properties");

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let name = format!("connector-fuzz-{}.toml", std::process::id());
    let file = std::env::temp_dir().join(name);
    for (good, kind) in [(GOOD, Kind::Toml), (GOOD_PROPERTIES, Kind::Properties)] {
        std::fs::write(&file, good).expect("a temporary file");
        let settings = layers(&file, kind).load().expect("a good file");
        let secret = settings.tenants[0].entra.client_secret.as_ref();
        assert!(secret.expect("a secret").expose().contains(MARK));
    }
    file
});

#[derive(Clone, Copy)]
enum Kind {
    Toml,
    Properties,
}

fn layers(file: &PathBuf, kind: Kind) -> Layers {
    match kind {
        Kind::Toml => Layers::default().file(Some(file)),
        // The old names fill a tenant that has a name and a place already.
        Kind::Properties => Layers::default()
            .properties(Some(file))
            .flag("tenants.0.id", Some("contoso"))
            .flag("tenants.0.legal_entity", Some("usmf"))
            .flag("tenants.0.warehouses", Some("24")),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let load = |text: &[u8], kind| {
        // A path of a device in the text would be read; that is not what is tried here.
        if text.windows(5).any(|bytes| bytes == b"_file") {
            return;
        }
        std::fs::write(&*FILE, text).expect("a temporary file");
        let said = match layers(&FILE, kind).load() {
            Ok(settings) => {
                let shown = settings.shown().expect("settings can be shown");
                format!("{shown}{settings:?}")
            }
            Err(error) => format!("{error}{error:?}"),
        };
        // Who sends the mark may see it again.
        assert!(holds(bytes, MARK) || !said.contains(MARK), "{said}");
    };
    load(bytes, Kind::Toml);
    load(bytes, Kind::Properties);
    if let [high, low, rest @ ..] = bytes {
        let place = usize::from(u16::from_be_bytes([*high, *low]));
        for (good, kind) in [(GOOD, Kind::Toml), (GOOD_PROPERTIES, Kind::Properties)] {
            if let Some(mixed) = mixed(good, kind, place % (good.len() + 1), rest) {
                load(&mixed, kind);
            }
        }
    }
});

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// None where the bytes could make something else of a secret than a secret: on its line, and, as
/// properties go on after a name and a blank, before it.
fn mixed(good: &str, kind: Kind, place: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = good.as_bytes().split_at(place);
    let begins_at = before.iter().rposition(|byte| *byte == b'\n');
    let begin = &before[begins_at.map_or(0, |at| at + 1)..];
    let end = after
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let is_at_a_secret = holds(&[begin, end].concat(), MARK);
    let may_be_before_it = matches!(kind, Kind::Toml) && begin.is_empty();
    (!is_at_a_secret || may_be_before_it).then(|| [before, bytes, after].concat())
}
