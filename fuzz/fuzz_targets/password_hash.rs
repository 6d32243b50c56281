//! libFuzzer target: hashes of passwords as they stand in a database that another program wrote.
//!
//! No panic; what passes the check is one that can be verified at a cost that one login may have.
#![no_main]

use postrider::auth::password::{HASH_LIMIT, check_hash, is_weak, kind};

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("password_hash"), |octets: &[u8]| {
    let hash = String::from_utf8_lossy(octets);
    let weak = is_weak(&hash);
    if check_hash(&hash).is_ok() {
        assert!(hash.len() <= HASH_LIMIT, "{hash:?} passes for a hash");
        assert!(weak || kind(&hash) == "bcrypt", "{hash:?} passes for one of ours");
    }
});
