//! In any interleaving of asks, clones, drops and panics the bound holds and every place comes back.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use postrider::actor::{Arbiters, AskError, Escalation, Handle, Restart, State, Supervisor};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::worker::{How, Log, Work, Worker, secs, settle};

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Ask(How),
    AskBefore(How, u64),
    Tell(How),
    /// An asker leaves.
    Leave(usize),
    Clone,
    /// A clone is dropped.
    Drop(usize),
    /// Tasks run, time does not.
    Settle,
    Wait(u64),
}

fn how() -> impl Strategy<Value = How> {
    let time = || (0..6_u64).prop_map(secs);
    prop_oneof![
        4 => Just(How::Now),
        4 => time().prop_map(How::InContext),
        2 => time().prop_map(How::Alone),
        3 => time().prop_map(How::AsTask),
        1 => Just(How::Panic),
        1 => time().prop_map(How::PanicLater),
        1 => time().prop_map(How::PanicAsTask),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => how().prop_map(Step::Ask),
        3 => (how(), 0..6_u64).prop_map(|(how, patience)| Step::AskBefore(how, patience)),
        3 => how().prop_map(Step::Tell),
        3 => any::<usize>().prop_map(Step::Leave),
        1 => Just(Step::Clone),
        1 => any::<usize>().prop_map(Step::Drop),
        2 => Just(Step::Settle),
        3 => (0..6_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_bound_holds_and_every_place_comes_back(
        places in 1..5_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        actix::System::new().block_on(async {
            tokio::time::pause();
            play(places, steps).await;
        });
    }
}

type Asking = JoinHandle<Result<usize, AskError>>;

async fn play(places: usize, steps: Vec<Step>) {
    let log = Arc::new(Log::default());
    let restart = Restart {
        limit: usize::MAX,
        window: secs(60),
        pause: secs(1),
    };
    let (escalation, mut failures) = Escalation::channel();
    let first: Handle<Worker> = {
        let log = log.clone();
        Supervisor::new(escalation).supervise("worker", places, restart, move || Worker::new(&log))
    };
    let mut clones = vec![first.clone()];
    let mut asks: Vec<Asking> = Vec::new();
    for step in steps {
        let handle = clones.last().unwrap_or(&first).clone();
        match step {
            Step::Ask(how) => {
                asks.push(actix::spawn(async move { handle.ask(Work(how)).await }));
            }
            Step::AskBefore(how, patience) => {
                let deadline = Instant::now() + secs(patience);
                asks.push(actix::spawn(async move {
                    handle.ask_before(deadline, Work(how)).await
                }));
            }
            Step::Tell(how) => {
                let free = handle.places_free();
                let told = handle.try_tell(Work(how));
                assert!(free > 0 || told == Err(AskError::Overloaded));
            }
            Step::Leave(n) => {
                if !asks.is_empty() {
                    let n = n % asks.len();
                    asks.swap_remove(n).abort();
                }
            }
            Step::Clone => clones.push(handle),
            Step::Drop(n) => {
                if !clones.is_empty() {
                    let n = n % clones.len();
                    clones.swap_remove(n);
                }
            }
            Step::Settle => settle().await,
            Step::Wait(time) => tokio::time::sleep(secs(time)).await,
        }
        let running = log.running.load(SeqCst);
        let taken = places - first.places_free();
        assert!(running <= taken, "{running} asks run in {taken} places");
    }
    // Everybody gets an answer, whatever it is.
    for ask in asks {
        match ask.await {
            Ok(Ok(_) | Err(AskError::Overloaded | AskError::Restarted)) => {}
            other => panic!("{other:?}"),
        }
    }
    // The asks of those who left come to their ends, and then all places are free.
    tokio::time::sleep(secs(3600)).await;
    assert_eq!(first.places_free(), places);
    assert_eq!(log.running.load(SeqCst), 0);
    assert!(log.most.load(SeqCst) <= places);
    assert!(matches!(first.state(), State::Running(_)));
    first.ask(Work(How::Now)).await.unwrap();
    let ended = first.ended();
    drop((first, clones));
    assert_eq!(ended.await, State::Stopped);
    assert_eq!(log.built.load(SeqCst), log.dropped.load(SeqCst));
    assert_eq!(failures.next().await, None);
}

/// The same with real threads: two arbiters to live on, askers on runtimes of their own.
#[test]
fn threads_hammer_one_actor() {
    const PLACES: usize = 3;
    const THREADS: u64 = 4;
    const ASKS: u64 = 3000;
    let restart = Restart {
        limit: usize::MAX,
        window: secs(60),
        pause: Duration::ZERO,
    };
    let log = Arc::new(Log::default());
    actix::System::new().block_on(async {
        let arbiters = Arbiters::start(2).unwrap();
        let supervisor = Supervisor::new(Escalation::log_only()).across(&arbiters);
        let handle = {
            let log = log.clone();
            supervisor.supervise("worker", PLACES, restart, move || Worker::new(&log))
        };
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                let handle = handle.clone();
                std::thread::spawn(move || hammer(handle, seed + 1, ASKS))
            })
            .collect();
        let mut answered = 0;
        for thread in threads {
            while !thread.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            answered += thread.join().unwrap();
        }
        assert!(answered > 0);
        while handle.places_free() != PLACES {
            tokio::task::yield_now().await;
        }
        assert!(log.most.load(SeqCst) <= PLACES);
        assert_eq!(log.running.load(SeqCst), 0);
        handle.stop();
        assert_eq!(handle.ended().await, State::Stopped);
        assert_eq!(log.built.load(SeqCst), log.dropped.load(SeqCst));
        arbiters.join();
    });
}

/// Asks for everything in no order. Returns how many were answered.
fn hammer(handle: Handle<Worker>, seed: u64, asks: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut random = seed;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    runtime.block_on(async {
        let mut answered = 0;
        for _ in 0..asks {
            let how = match next(40) {
                0 => How::Panic,
                1 => How::PanicLater(Duration::ZERO),
                2 => How::PanicAsTask(Duration::ZERO),
                3..10 => How::AsTask(Duration::ZERO),
                10..15 => How::Alone(Duration::ZERO),
                15..20 => How::InContext(Duration::ZERO),
                _ => How::Now,
            };
            let handle = handle.clone();
            match next(4) {
                0 => {
                    let _ = handle.try_tell(Work(how));
                }
                // Leaves after one look.
                1 => {
                    let mut ask = Box::pin(handle.ask(Work(how)));
                    let look = std::future::poll_fn(|task| Poll::Ready(ask.as_mut().poll(task)));
                    let _ = look.await;
                }
                _ => answered += u64::from(handle.ask(Work(how)).await.is_ok()),
            }
        }
        answered
    })
}
