//! libFuzzer target: names of bodies in the store, Maildir names and folders.
//!
//! What is read is written as the same; what a domain, a user and a mailbox make lies below their own folder, and is read back as
//! them.
#![no_main]

use postrider_storage::blob::{BlobKey, BlobWritten, KEY_LIMIT, Unique};
use postrider_storage::index::Timestamp;

libfuzzer_sys::fuzz_target!(init: postrider_fuzz::seeds::write("store_key"), |octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    if let Ok(key) = BlobKey::parse(&text) {
        assert_eq!(key.as_str(), text);
        is_safe(key.as_str());
        let _ = (key.account(), key.mailbox());
        if let Some(unique) = key.unique() {
            assert!(key.as_str().ends_with(&unique.to_string()));
        }
    }
    let mut names = text.splitn(3, '\n');
    let mut name = || names.next().unwrap_or_default();
    let (domain, user, mailbox) = (name(), name(), name());
    let written = BlobWritten { size: octets.len() as u64, sha256: [7; 32] };
    let unique = Unique::new(domain, Timestamp(octets.len() as i64), &written).expect("random octets");
    let Ok(key) = BlobKey::for_message(domain, user, mailbox, &unique) else {
        return;
    };
    is_safe(key.as_str());
    assert!(key.fits(&written));
    let prefix = BlobKey::prefix(domain, user).expect("it made a key");
    assert!(key.as_str().starts_with(&prefix));
    assert_eq!(BlobKey::parse(key.as_str()).as_ref(), Ok(&key), "a second spelling");
    assert_eq!(key.unique(), Some(unique));
    if let Some(account) = key.account() {
        assert_eq!(account, format!("{user}@{domain}"));
    }
    if let Some(read) = key.mailbox() {
        assert!(read == mailbox || read.eq_ignore_ascii_case(mailbox) && read == "INBOX");
    }
});

/// No component leads out of its folder, or hides, or looks like an option.
fn is_safe(key: &str) {
    assert!(key.len() <= KEY_LIMIT && key.is_ascii());
    for (place, component) in key.split('/').enumerate() {
        let hidden = component.starts_with('.') && place != 3;
        assert!(
            !component.is_empty() && component != "." && component != ".." && !hidden,
            "{key}"
        );
        assert!(
            !component.starts_with('-') && component.len() <= 255,
            "{key}"
        );
        assert!(
            !component.bytes().any(|octet| octet < b' ' || octet == 0x7f),
            "{key}"
        );
    }
}
