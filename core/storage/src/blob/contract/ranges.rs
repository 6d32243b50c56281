//! Parts of bodies, and what is beyond their ends.

use super::*;

pub(super) async fn ranges(store: &dyn BlobStore) {
    let octets = pattern(3 * CHUNK + 5, 2);
    let size = octets.len() as u64;
    let key = put(store, "INBOX", memory(octets.clone())).await;
    for range in [
        0..0,
        0..1,
        5..5,
        size..size,
        size - 1..size,
        0..CHUNK as u64,
        1..CHUNK as u64 + 2,
    ] {
        let expected = octets[range.start as usize..range.end as usize].to_vec();
        assert_eq!(
            read(store, &key, range.clone()).await,
            Ok(expected),
            "{range:?}"
        );
    }
    for range in [
        0..size + 1,
        size..size + 1,
        size + 1..size + 1,
        0..u64::MAX,
        u64::MAX..u64::MAX,
    ] {
        assert!(
            matches!(
                read(store, &key, range.clone()).await,
                Err(Error::Corrupt(_))
            ),
            "{range:?}"
        );
    }
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = 5..4;
    assert!(matches!(
        read(store, &key, backwards).await,
        Err(Error::Corrupt(_))
    ));
}

pub(super) async fn random_ranges(store: &dyn BlobStore) {
    let mut random = Random(3);
    for seed in 10..16 {
        let octets = pattern(random.below(5 * CHUNK), seed);
        let prefix = random.below(octets.len());
        let (prefix, body) = octets.split_at(prefix);
        let key = put(
            store,
            "INBOX",
            source(prefix, BlobBody::Memory(body.to_vec().into())),
        )
        .await;
        for _ in 0..20 {
            let end = random.below(octets.len());
            let start = random.below(end);
            let found = read(store, &key, start as u64..end as u64).await;
            assert!(
                found.as_deref() == Ok(&octets[start..end]),
                "seed {seed}: {start}..{end} of {}",
                octets.len()
            );
        }
    }
}
