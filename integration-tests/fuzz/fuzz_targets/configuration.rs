//! A configuration file, as TOML and as properties of the original connector: settings or a message,
//! never a panic. What loads can be shown, and shows no secret.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::settings::Layers;
use std::path::PathBuf;
use std::sync::LazyLock;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let name = format!("connector-fuzz-{}.toml", std::process::id());
    std::env::temp_dir().join(name)
});

fuzz_target!(|text: &[u8]| {
    // A path of a device in the text would be read; that is not what is tried here.
    if text.windows(5).any(|bytes| bytes == b"_file") {
        return;
    }
    std::fs::write(&*FILE, text).expect("a temporary file");
    for layers in [
        Layers::default().file(Some(&FILE)),
        Layers::default().properties(Some(&FILE)),
    ] {
        if let Ok(settings) = layers.load() {
            settings.shown().expect("settings can be shown");
        }
    }
});
