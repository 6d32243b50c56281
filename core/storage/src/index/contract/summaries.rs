//! Summaries, a page at a time.

use std::sync::Arc;

use super::{Home, body};
use crate::index::{Append, Change, CopyMode, Index, NewBlob, Outcome, SUMMARIES_LIMIT, Uid};

pub(super) async fn all<F: AsyncFn() -> Arc<dyn Index>>(fresh: &F) {
    they_lie_anywhere(fresh().await).await;
    attack_05_a_page_is_bounded(fresh().await).await;
}

/// Close together, among those of another mailbox, far apart, and the same one more than once.
async fn they_lie_anywhere(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let other = home.create("other").await.expect("made");
    let mut expected = Vec::new();
    for nth in 0..12 {
        let name = format!("m{nth}");
        let to = if nth % 3 == 1 { other } else { home.inbox };
        let uid = home.append(to, &name, 10).await.expect("appended").uid;
        expected.push((to, uid, format!("summary of {name}").into_bytes()));
    }
    let of = |mailbox| {
        let there = expected.iter().filter(move |it| it.0 == mailbox);
        there.map(|it| (it.1, it.2.clone())).collect::<Vec<_>>()
    };
    for mailbox in [home.inbox, other] {
        let expected = of(mailbox);
        for from in 0..expected.len() {
            for to in from + 1..=expected.len() {
                let uids: Vec<Uid> = expected[from..to].iter().map(|it| it.0).collect();
                let found = home.summaries(mailbox, &uids).await;
                assert_eq!(found, expected[from..to]);
            }
        }
    }
    let copies = home.create("copies").await.expect("made");
    let inbox = of(home.inbox);
    let mut expected = Vec::new();
    // The last body first, so that bodies do not rise with UIDs.
    for at in [7, 0, 0, 6] {
        let copied = home
            .copy(home.inbox, &[inbox[at].0], copies, CopyMode::Copy)
            .await;
        let uid = copied.expect("copied").to[0];
        expected.push((uid, inbox[at].1.clone()));
    }
    let uids: Vec<Uid> = expected.iter().map(|it| it.0).collect();
    assert_eq!(home.summaries(copies, &uids).await, expected);
    let found = home.summaries(copies, &[uids[1], uids[3]]).await;
    assert_eq!(found, [expected[1].clone(), expected[3].clone()]);
}

/// Large headers in each of a thousand messages would be more than a session may hold.
async fn attack_05_a_page_is_bounded(index: Arc<dyn Index>) {
    let home = Home::new(index, None).await;
    let (large, whole) = (SUMMARIES_LIMIT / 5 * 2, SUMMARIES_LIMIT + 1);
    let mut expected = Vec::new();
    for (nth, octets) in [10, large, large, large, whole, 10, whole, 10, 10]
        .into_iter()
        .enumerate()
    {
        let uid = home.summarised(&format!("m{nth}"), octets).await;
        expected.push((uid, octets));
    }
    let uids: Vec<Uid> = expected.iter().map(|it| it.0).collect();
    let page = async |asked: &[Uid]| {
        let page = home.index.summaries(home.inbox, asked).await;
        let page = page.expect("reads work");
        let found: Vec<Uid> = page.found.iter().map(|it| it.0).collect();
        for (uid, octets) in page.found {
            let expected = expected.iter().find(|it| it.0 == uid);
            assert_eq!(expected.map(|it| it.1), Some(octets.len()));
        }
        (found, page.next)
    };
    assert_eq!(page(&uids).await, (uids[..3].to_vec(), Some(uids[3])));
    assert_eq!(page(&uids[3..]).await, (vec![uids[3]], Some(uids[4])));
    // One that fits nowhere comes alone, and so it does between others.
    assert_eq!(page(&uids[4..]).await, (vec![uids[4]], Some(uids[5])));
    assert_eq!(page(&uids[5..]).await, (vec![uids[5]], Some(uids[6])));
    assert_eq!(page(&uids[6..]).await, (vec![uids[6]], Some(uids[7])));
    assert_eq!(page(&uids[7..]).await, (uids[7..].to_vec(), None));
    assert_eq!(page(&uids[4..5]).await, (vec![uids[4]], None));
    let all = home.summaries(home.inbox, &uids).await;
    assert!(all.iter().map(|it| it.0).eq(uids.iter().copied()));
    // What lies between and was not asked for is in nobody's way.
    let some = [uids[3], uids[5], uids[7]];
    let found = home.summaries(home.inbox, &some).await;
    assert!(found.iter().map(|it| it.0).eq(some));

    // One body many times counts each time.
    let to = home.create("copies").await.expect("made");
    let mut copies = Vec::new();
    for _ in 0..3 {
        let copied = home.copy(home.inbox, &[uids[1]], to, CopyMode::Copy).await;
        copies.extend(copied.expect("copied").to);
    }
    let page = home.index.summaries(to, &copies).await.expect("reads work");
    assert_eq!((page.found.len(), page.next), (2, Some(copies[2])));
    assert_eq!(home.summaries(to, &copies).await.len(), 3);
}

impl Home {
    /// Appends a message with a summary of so many octets.
    async fn summarised(&self, name: &str, octets: usize) -> Uid {
        let summary = name.bytes().cycle().take(octets).collect();
        let blob = NewBlob {
            summary,
            ..body(name, 10)
        };
        let append: Append = self.append_of(self.inbox, blob);
        match self.one(Change::Append(append)).await {
            Ok(Outcome::Appended(appended)) => appended.uid,
            other => panic!("an append brought {other:?}"),
        }
    }
}
