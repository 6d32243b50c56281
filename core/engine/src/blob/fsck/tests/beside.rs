//! The check beside what else goes on: servers, imports, other checks; and where it may not see everything.

use super::*;

/// Whose row has not come belongs to who puts it, as long as somebody serves: it may be refused yet, and then it is taken back.
#[tokio::test]
async fn attack_46_what_a_server_is_about_to_name_is_left_to_it() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    house.index.serve().await.unwrap();
    let young = house.put("INBOX", "being delivered", NOW).await;
    let ahead = house.put("INBOX", "of a clock ahead", Timestamp(NOW.0 + DAY));
    ahead.await;
    house.put("INBOX", "left over", OLD).await;
    let report = fsck.run(NOW).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.young, report.orphans.mended), (2, 1));
    assert_eq!(house.rows().await.len(), 1);
    house.append(&young).await;
    assert_eq!(fsck.run(NOW).await.unwrap().young, 1);
    // In time it is left over.
    let later = Timestamp(NOW.0 + 2 * DAY);
    let report = fsck.run(later).await.unwrap();
    assert_eq!((report.young, report.orphans.mended), (0, 1));
}

/// A message whose mailbox got another name is not there a second time, whoever asks for its body to be appended.
#[tokio::test]
async fn what_the_index_knows_is_no_orphan_wherever_it_lies() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    let key = house.put("Old/Name", "known", OLD).await;
    house.append(&key).await;
    // As if its row had come while the store was listed.
    let meta = fsck.blobs.meta(&key, fsck.deadline()).await.unwrap();
    let size = key.unique().unwrap().size();
    let looked = fsck.append(NOW, &key, size, &meta).await;
    assert_eq!(looked, Ok(None));
    let mut rows = Rows::load(&MemoryIndex::new()).await.unwrap();
    let mut report = FsckReport::default();
    let mut orphans = vec![(key.clone(), size)];
    let looked = fsck.look_at_orphans(NOW, &mut orphans, &mut rows, &mut report);
    looked.await.unwrap();
    assert_eq!(report, FsckReport::default());
    // And its length is held against the row that was found.
    let mut orphans = vec![(key, size + 1)];
    let looked = fsck.look_at_orphans(NOW, &mut orphans, &mut rows, &mut report);
    looked.await.unwrap();
    assert_eq!((report.damaged.total, report.orphans.total), (1, 0));
    assert_eq!(house.rows().await.len(), 1);
}

#[tokio::test]
async fn what_an_import_left_is_left_to_it() {
    let Checked {
        house, mut fsck, ..
    } = checked(Depth::Length, Repair::Append).await;
    let octets = bytes::Bytes::from_static(b"imported");
    let source = postrider_storage::blob::BlobSource {
        prefix: bytes::Bytes::new(),
        body: postrider_storage::blob::BlobBody::Memory(octets),
    };
    let written = source.digest().await.unwrap();
    let unique = Unique::derived("imported", OLD, b"a file", &written);
    let key = BlobKey::for_message("example.com", "ada", "INBOX", &unique).unwrap();
    let meta = BlobMeta::from_key(&key);
    house.store.put(&key, source, &meta).await.unwrap();
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!((report.orphans.total, report.orphans.mended), (1, 0));
    let told = fates(&report);
    assert!(
        matches!(&told[0], OrphanFate::Left { why } if why.contains("import")),
        "{told:?}"
    );
    fsck.options.owner = Owner::Now;
    assert_eq!(fsck.run(NOW).await.unwrap().orphans.mended, 1);
}

#[tokio::test]
async fn a_quota_that_is_wrong_is_named() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Report).await;
    house.deliver("counts").await;
    house.index.miscount(7);
    let report = fsck.run(NOW).await.unwrap();
    assert!(!report.is_clean());
    let wrong = WrongQuota {
        account: EMAIL.to_owned(),
        used: 13,
        sum: 6,
    };
    assert_eq!(report.quotas.listed, [wrong]);
}

/// A store that may not be listed is half checked: the report says so, and what the index names is looked for one by one.
#[tokio::test]
async fn a_store_that_may_not_be_listed_is_checked_from_the_other_side() {
    let Checked { house, fsck, _dir } = checked(Depth::Length, Repair::Append).await;
    for number in 0..5 {
        house.deliver(&format!("message {number}")).await;
    }
    let (missing, _) = house.deliver("missing").await;
    let (corrupt, _) = house.deliver("").await;
    house.put("INBOX", "orphan", OLD).await;
    house.store.fault(Operation::List, Fault::Deny);
    let report = fsck.run(NOW).await.unwrap();
    assert!(!report.is_clean());
    assert!(report.unlisted.is_some());
    assert_eq!((report.rows, report.missing.total), (7, 0));
    assert!(house.store.lose(&missing) && house.store.corrupt(&corrupt));
    house.store.fault(Operation::List, Fault::Deny);
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!(report.missing.listed[0].key, missing.as_str());
    assert_eq!((report.orphans.total, report.bodies), (0, 0));
    // Refused later it is a view that breaks off.
    let report = fsck.run(NOW).await.unwrap();
    assert_eq!((report.unlisted, report.orphans.mended), (None, 1));
}
