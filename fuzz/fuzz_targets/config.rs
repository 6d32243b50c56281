//! libFuzzer target: the configuration file.
//!
//! No panic; what is refused is refused with a reason.
#![no_main]

use std::fs;

use postrider::config::Config;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("postrider.toml");
    fs::write(&file, octets).expect("room for a file");
    if let Err(problems) = Config::load(&file) {
        assert!(!problems.is_empty(), "refused without a reason");
    }
});
