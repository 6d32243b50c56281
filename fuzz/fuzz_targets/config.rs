//! libFuzzer target: the configuration file.
//!
//! No panic; what is refused is refused with a reason, and each reason stands at a line of the file; what is taken is whole:
//! every listener listens somewhere and no limit is zero.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use postrider::config::Config;
use tempfile::TempDir;

/// One for all inputs.
static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("config"), |octets: &[u8]| {
    let file = FOLDER.path().join("postrider.toml");
    fs::write(&file, octets).expect("room for a file");
    match Config::load(&file) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            let lines = 1 + octets.iter().filter(|octet| **octet == b'\n').count();
            for place in problems.iter().filter_map(|it| it.place) {
                assert!(place.line <= lines, "a problem behind the file");
            }
        }
        Ok(config) => {
            assert!(config.listeners.iter().all(|it| !it.bind.is_empty()));
            assert!(config.limits.connections > 0 && config.limits.memory.0 > 0);
            assert!(!format!("{config:?}").is_empty());
        }
    }
});
