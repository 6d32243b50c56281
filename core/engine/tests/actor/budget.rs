//! Bytes out never exceed the limit, all come back, and nobody starves.

use std::collections::VecDeque;

use postrider::actor::{Budget, BudgetError, ByteCount, Share, Taker};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::worker::{secs, settle};

fn bytes(count: u64) -> ByteCount {
    ByteCount::bytes(count)
}

fn take_aside(taker: &Taker, count: u64, patience: u64) -> JoinHandle<Result<Share, BudgetError>> {
    let taker = taker.clone();
    let deadline = Instant::now() + secs(patience);
    actix::spawn(async move { taker.take(bytes(count), deadline).await })
}

#[test]
fn byte_counts_read_well() {
    let shown = [
        (ByteCount::ZERO, "0"),
        (bytes(1000), "1000"),
        (ByteCount::kib(1), "1KiB"),
        (bytes(1025), "1025"),
        (ByteCount::mib(100), "100MiB"),
        (ByteCount::gib(1), "1GiB"),
        (ByteCount::kib(3 << 20), "3GiB"),
    ];
    for (count, text) in shown {
        assert_eq!(count.to_string(), text);
    }
    assert_eq!(Budget::default().limit(), ByteCount::gib(1));
    assert_eq!(ByteCount::gib(u64::MAX).get(), u64::MAX);
}

#[actix::test]
async fn shares_are_counted_and_come_back() {
    let budget = Budget::new(bytes(100));
    let taker = budget.taker(bytes(100));
    let mut share = taker.try_take(bytes(60)).unwrap();
    assert_eq!(budget.in_flight(), bytes(60));
    assert_eq!(taker.try_take(bytes(41)).unwrap_err(), BudgetError::Held);
    share.grow(bytes(40)).unwrap();
    assert_eq!(share.grow(bytes(1)), Err(BudgetError::Held));
    assert_eq!(share.bytes(), bytes(100));
    let part = share.split(bytes(30)).unwrap();
    assert!(share.split(bytes(71)).is_none());
    assert_eq!((share.bytes(), part.bytes()), (bytes(70), bytes(30)));
    share.shrink_to(bytes(10));
    share.shrink_to(bytes(50));
    assert_eq!(budget.in_flight(), bytes(40));
    drop(share);
    assert_eq!(budget.in_flight(), bytes(30));
    drop(part);
    assert_eq!((budget.in_flight(), taker.held()), (bytes(0), bytes(0)));
}

#[actix::test]
async fn one_taker_cannot_have_it_all() {
    let budget = Budget::new(bytes(100));
    let greedy = budget.taker(bytes(30));
    assert_eq!(
        greedy.try_take(bytes(31)).unwrap_err(),
        BudgetError::TooLarge
    );
    let soon = Instant::now() + secs(1);
    let more = greedy.take(bytes(101), soon).await;
    assert_eq!(more.unwrap_err(), BudgetError::TooLarge);
    let all = budget.taker(bytes(1000));
    assert_eq!(all.maximum(), bytes(100));
    let _shares = [
        greedy.try_take(bytes(20)).unwrap(),
        greedy.clone().try_take(bytes(10)).unwrap(),
    ];
    assert_eq!(
        greedy.take(bytes(1), soon).await.unwrap_err(),
        BudgetError::Held
    );
    assert_eq!(all.try_take(bytes(71)).unwrap_err(), BudgetError::Exhausted);
    let rest = all.try_take(bytes(70)).unwrap();
    assert_eq!(rest.bytes(), bytes(70));
}

#[actix::test]
async fn who_waits_is_served_in_order() {
    tokio::time::pause();
    let budget = Budget::new(bytes(100));
    let taker = budget.taker(bytes(1000));
    let others = budget.taker(bytes(1000));
    let first = taker.try_take(bytes(50)).unwrap();
    let second = taker.try_take(bytes(50)).unwrap();
    let large = take_aside(&others, 80, 100);
    settle().await;
    let small = take_aside(&budget.taker(bytes(10)), 10, 100);
    settle().await;
    assert_eq!(budget.waiting(), 2);
    drop(first);
    settle().await;
    assert!(!small.is_finished(), "the small one overtook the large one");
    assert_eq!(
        taker.try_take(bytes(1)).unwrap_err(),
        BudgetError::Exhausted
    );
    drop(second);
    let large = large.await.unwrap().unwrap();
    let small = small.await.unwrap().unwrap();
    assert_eq!(budget.in_flight(), bytes(90));
    drop((large, small));
    assert_eq!(budget.in_flight(), bytes(0));
}

#[actix::test]
async fn who_gives_up_waiting_lets_the_next_ones_pass() {
    tokio::time::pause();
    let budget = Budget::new(bytes(100));
    let holder = budget.taker(bytes(100)).try_take(bytes(50)).unwrap();
    let impatient = budget.taker(bytes(100));
    let large = take_aside(&impatient, 80, 5);
    settle().await;
    let small = take_aside(&budget.taker(bytes(100)), 20, 60);
    settle().await;
    assert_eq!(budget.waiting(), 2);
    let begin = Instant::now();
    assert_eq!(large.await.unwrap().unwrap_err(), BudgetError::Exhausted);
    assert_eq!(begin.elapsed().as_secs(), 5);
    let small = small.await.unwrap().unwrap();
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(impatient.held(), bytes(0));
    // The same by dropping the future.
    let large = take_aside(&impatient, 80, 60);
    settle().await;
    let last = take_aside(&budget.taker(bytes(100)), 30, 60);
    settle().await;
    large.abort();
    let last = last.await.unwrap().unwrap();
    assert_eq!(budget.in_flight(), bytes(100));
    drop((holder, small, last));
    assert_eq!((budget.in_flight(), budget.waiting()), (bytes(0), 0));
}

#[actix::test]
async fn holders_grow_at_once_or_not_at_all() {
    tokio::time::pause();
    let budget = Budget::new(bytes(100));
    let (one, two) = (budget.taker(bytes(100)), budget.taker(bytes(100)));
    let mut first = one.try_take(bytes(50)).unwrap();
    let mut second = two.try_take(bytes(40)).unwrap();
    let waiting = take_aside(&budget.taker(bytes(100)), 20, 60);
    settle().await;
    // Before those in line: it holds something and can give it back.
    first.grow(bytes(10)).unwrap();
    assert_eq!(first.grow(bytes(1)), Err(BudgetError::Exhausted));
    assert_eq!(second.grow(bytes(1)), Err(BudgetError::Exhausted));
    assert_eq!((first.bytes(), one.held()), (bytes(60), bytes(60)));
    drop(first);
    assert_eq!(waiting.await.unwrap().unwrap().bytes(), bytes(20));
}

#[actix::test]
async fn nothing_is_always_to_be_had() {
    let budget = Budget::new(bytes(10));
    let taker = budget.taker(bytes(10));
    let _all = taker.try_take(bytes(10)).unwrap();
    assert_eq!(taker.try_take(bytes(0)).unwrap().bytes(), bytes(0));
}

/// What may happen to a budget.
#[derive(Clone, Debug)]
enum Step {
    Try(usize, u64),
    Take(usize, u64, u64),
    Leave(usize),
    Grow(usize, u64),
    Shrink(usize, u64),
    Split(usize, u64),
    Drop(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_usize, 0..70_u64).prop_map(|(who, n)| Step::Try(who, n)),
        (0..3_usize, 0..70_u64, 0..9_u64).prop_map(|(who, n, t)| Step::Take(who, n, t)),
        any::<usize>().prop_map(Step::Leave),
        (any::<usize>(), 0..50_u64).prop_map(|(which, n)| Step::Grow(which, n)),
        (any::<usize>(), 0..50_u64).prop_map(|(which, n)| Step::Shrink(which, n)),
        (any::<usize>(), 0..50_u64).prop_map(|(which, n)| Step::Split(which, n)),
        any::<usize>().prop_map(Step::Drop),
        (0..9_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_books_always_balance(steps in prop::collection::vec(step(), 1..60)) {
        actix::System::new().block_on(async {
            tokio::time::pause();
            play(steps).await;
        });
    }
}

async fn play(steps: Vec<Step>) {
    let budget = Budget::new(bytes(100));
    let takers = [
        budget.taker(bytes(100)),
        budget.taker(bytes(60)),
        budget.taker(bytes(40)),
    ];
    let mut shares: Vec<Share> = Vec::new();
    let mut waiting: VecDeque<JoinHandle<Result<Share, BudgetError>>> = VecDeque::new();
    for step in steps {
        let which = |n: usize, of: usize| (of > 0).then(|| n % of);
        match step {
            Step::Try(who, n) => shares.extend(takers[who].try_take(bytes(n))),
            Step::Take(who, n, patience) => {
                waiting.push_back(take_aside(&takers[who], n, patience))
            }
            Step::Leave(n) => {
                if let Some(n) = which(n, waiting.len()) {
                    waiting[n].abort();
                }
            }
            Step::Grow(n, more) => {
                if let Some(n) = which(n, shares.len()) {
                    let _ = shares[n].grow(bytes(more));
                }
            }
            Step::Shrink(n, to) => {
                if let Some(n) = which(n, shares.len()) {
                    shares[n].shrink_to(bytes(to));
                }
            }
            Step::Split(n, off) => {
                if let Some(n) = which(n, shares.len()) {
                    let part = shares[n].split(bytes(off));
                    shares.extend(part);
                }
            }
            Step::Drop(n) => {
                if let Some(n) = which(n, shares.len()) {
                    drop(shares.swap_remove(n));
                }
            }
            Step::Wait(time) => tokio::time::sleep(secs(time)).await,
        }
        settle().await;
        for task in std::mem::take(&mut waiting) {
            if task.is_finished() {
                shares.extend(task.await.ok().and_then(Result::ok));
            } else {
                waiting.push_back(task);
            }
        }
        let out: u64 = shares.iter().map(|share| share.bytes().get()).sum();
        assert_eq!(
            budget.in_flight(),
            bytes(out),
            "bytes out are not those of the shares"
        );
        assert!(out <= 100);
        assert_eq!(budget.waiting(), waiting.len());
        for taker in &takers {
            assert!(taker.held() <= taker.maximum());
        }
    }
    // All who wait are served or time out, nobody hangs.
    shares.clear();
    for task in waiting {
        drop(task.await);
    }
    assert_eq!((budget.in_flight(), budget.waiting()), (bytes(0), 0));
    assert!(takers.iter().all(|taker| taker.held() == bytes(0)));
}
