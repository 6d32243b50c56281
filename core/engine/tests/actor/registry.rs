//! One actor for each key, whatever races.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use postrider::actor::{
    AskError, Escalation, Handle, Limits, Registry, RegistryError, State, Supervisor,
};
use proptest::prelude::*;
use tokio::time::Instant;

use super::worker::{How, Log, RESTART, Work, Worker, secs, settle};

fn registry(open: usize, linger: Duration) -> (Registry<u8, Worker>, Arc<Log>) {
    let log = Arc::new(Log::default());
    let limits = Limits {
        open,
        places: 4,
        linger,
    };
    let registry = {
        let log = log.clone();
        let supervisor = Supervisor::new(Escalation::log_only());
        Registry::new(supervisor, "worker", RESTART, limits, move |_: &u8, _| {
            Worker::new(&log)
        })
    };
    (registry, log)
}

/// Values that are alive.
fn alive(log: &Log) -> usize {
    log.built.load(SeqCst) - log.dropped.load(SeqCst)
}

#[actix::test]
async fn all_who_open_a_key_get_the_same_actor() {
    let (registry, log) = registry(9, Duration::ZERO);
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let registry = registry.clone();
            actix::spawn(async move { (n % 3, registry.open(&(n % 3)).await.unwrap()) })
        })
        .collect();
    let mut handles = Vec::new();
    for task in tasks {
        handles.push(task.await.unwrap());
    }
    for (key, handle) in &handles {
        assert!(registry.find(key).unwrap().is(handle));
        handle.ask(Work(How::Now)).await.unwrap();
    }
    assert_eq!(log.built.load(SeqCst), 3);
    assert_eq!((registry.count(), registry.all().len()), (3, 3));
    assert!(registry.find(&7).is_none());
}

#[actix::test]
async fn an_actor_goes_with_its_last_client() {
    tokio::time::pause();
    let (registry, log) = registry(9, Duration::ZERO);
    let handle = registry.open(&1).await.unwrap();
    let other = registry.open(&1).await.unwrap();
    drop(handle);
    other.ask(Work(How::Now)).await.unwrap();
    let ended = other.ended();
    drop(other);
    assert_eq!(ended.await, State::Stopped);
    settle().await;
    assert_eq!((registry.count(), alive(&log)), (0, 0));
    let fresh = registry.open(&1).await.unwrap();
    assert_eq!(fresh.ask(Work(How::Now)).await, Ok(1));
}

#[actix::test]
async fn a_successor_waits_for_the_end_of_its_predecessor() {
    tokio::time::pause();
    let (registry, log) = registry(9, Duration::ZERO);
    let handle = registry.open(&1).await.unwrap();
    handle.try_tell(Work(How::InContext(secs(10)))).unwrap();
    settle().await;
    drop(handle);
    assert!(registry.find(&1).is_none());
    let begin = Instant::now();
    let opening = actix::spawn({
        let registry = registry.clone();
        async move { registry.open(&1).await.unwrap() }
    });
    tokio::time::sleep(secs(5)).await;
    assert_eq!(log.built.load(SeqCst), 1);
    let fresh = opening.await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(fresh.ask(Work(How::Now)).await, Ok(1));
    assert_eq!(alive(&log), 1);
    // So it is if somebody stops it while others still have it.
    let stopped = fresh.clone();
    stopped.stop();
    let next = registry.open(&1).await.unwrap();
    assert!(!next.is(&fresh));
    assert_eq!(next.ask(Work(How::Now)).await, Ok(1));
}

#[actix::test]
async fn an_unused_actor_lingers_for_a_while() {
    tokio::time::pause();
    let (registry, log) = registry(9, secs(60));
    let handle = registry.open(&1).await.unwrap();
    handle.ask(Work(How::Now)).await.unwrap();
    tokio::time::sleep(secs(300)).await;
    drop(handle);
    tokio::time::sleep(secs(30)).await;
    // Warm.
    let handle = registry.open(&1).await.unwrap();
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(2));
    let ended = handle.ended();
    drop(handle);
    tokio::time::sleep(secs(59)).await;
    assert_eq!(alive(&log), 1);
    let begin = Instant::now();
    assert_eq!(ended.await, State::Stopped);
    assert!(begin.elapsed() <= secs(61));
    settle().await;
    assert_eq!((registry.count(), alive(&log)), (0, 0));
    // The sweeping starts again with the next one.
    let ended = registry.open(&1).await.unwrap().ended();
    assert_eq!(ended.await, State::Stopped);
}

#[actix::test]
async fn the_number_of_actors_is_bounded_and_unused_ones_make_room() {
    tokio::time::pause();
    let (registry, log) = registry(2, secs(60));
    let one = registry.open(&1).await.unwrap();
    let _two = registry.open(&2).await.unwrap();
    assert_eq!(registry.open(&3).await.unwrap_err(), RegistryError::Full);
    assert!(registry.open(&1).await.unwrap().is(&one));
    one.ask(Work(How::Now)).await.unwrap();
    drop(one);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let three = registry.open(&3).await.unwrap();
    three.ask(Work(How::Now)).await.unwrap();
    assert_eq!(alive(&log), 2);
    assert!(registry.find(&1).is_none());
    assert_eq!(registry.open(&4).await.unwrap_err(), RegistryError::Full);
}

#[actix::test]
async fn an_actor_that_failed_for_good_has_a_successor_and_ends_no_process() {
    tokio::time::pause();
    let (escalation, mut failures) = Escalation::channel();
    let limits = Limits {
        open: 1,
        places: 4,
        linger: secs(60),
    };
    let registry = {
        let log = Arc::new(Log::default());
        let make = move |_: &u8, _: &_| Worker::new(&log);
        Registry::new(Supervisor::new(escalation), "worker", RESTART, limits, make)
    };
    let handle = registry.open(&1).await.unwrap();
    let mut generation = 1;
    while handle.ask(Work(How::Panic)).await == Err(AskError::Restarted) {
        let Some(next) = handle.rebuilt(generation).await else {
            break;
        };
        assert!(registry.open(&1).await.unwrap().is(&handle));
        generation = next;
    }
    assert_eq!(handle.state(), State::Failed);
    let fresh = registry.open(&1).await.unwrap();
    assert_eq!(fresh.ask(Work(How::Now)).await, Ok(1));
    assert_eq!(failures.next().await, None);
}

#[actix::test]
async fn a_drain_stops_all_and_opens_nothing_more() {
    tokio::time::pause();
    let (registry, log) = registry(9, secs(600));
    let busy = registry.open(&1).await.unwrap();
    let _idle = registry.open(&2).await.unwrap();
    registry.open(&3).await.unwrap();
    busy.try_tell(Work(How::InContext(secs(5)))).unwrap();
    settle().await;
    let begin = Instant::now();
    assert_eq!(registry.drain(begin + secs(60)).await, 0);
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(log.finished.load(SeqCst), 1);
    assert_eq!(alive(&log), 0);
    assert_eq!(registry.open(&1).await.unwrap_err(), RegistryError::Closed);
}

#[actix::test]
async fn a_drain_says_how_many_are_left() {
    tokio::time::pause();
    let (registry, _) = registry(9, Duration::ZERO);
    let busy = registry.open(&1).await.unwrap();
    busy.try_tell(Work(How::InContext(secs(500)))).unwrap();
    settle().await;
    assert_eq!(registry.drain(Instant::now() + secs(60)).await, 1);
}

#[test]
fn threads_that_race_for_keys_get_one_actor_each() {
    // Each value counts itself by key while it lives.
    static ALIVE: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];
    static MOST: AtomicUsize = AtomicUsize::new(0);
    struct Counted(usize);
    impl actix::Actor for Counted {
        type Context = actix::Context<Self>;
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE[self.0].fetch_sub(1, SeqCst);
        }
    }
    impl actix::Handler<Work> for Counted {
        type Result = usize;
        fn handle(&mut self, _: Work, _: &mut Self::Context) -> usize {
            self.0
        }
    }
    actix::System::new().block_on(async {
        let arbiters = postrider::actor::Arbiters::start(2).unwrap();
        let supervisor = Supervisor::new(Escalation::log_only()).across(&arbiters);
        let limits = Limits {
            open: 4,
            places: 4,
            linger: Duration::ZERO,
        };
        let registry = Registry::new(supervisor, "counted", RESTART, limits, |key: &usize, _| {
            MOST.fetch_max(ALIVE[*key].fetch_add(1, SeqCst) + 1, SeqCst);
            Counted(*key)
        });
        let threads: Vec<_> = (0..3_usize)
            .map(|thread| {
                let registry = registry.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        for n in 0..300 {
                            let key = (n + thread) % 4;
                            let handle: Handle<Counted> = registry.open(&key).await.unwrap();
                            assert_eq!(handle.ask(Work(How::Now)).await, Ok(key));
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            while !thread.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            thread.join().unwrap();
        }
        assert_eq!(registry.drain(Instant::now() + secs(60)).await, 0);
        arbiters.join();
    });
    assert_eq!(MOST.load(SeqCst), 1);
}

/// What may happen to a registry of three keys and room for two.
#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Drop(usize),
    Work(usize, u64),
    Panic(usize),
    Stop(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8).prop_map(Step::Open),
        2 => any::<usize>().prop_map(Step::Drop),
        2 => (any::<usize>(), 0..9_u64).prop_map(|(which, time)| Step::Work(which, time)),
        1 => any::<usize>().prop_map(Step::Panic),
        1 => any::<usize>().prop_map(Step::Stop),
        2 => (0..9_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn never_more_actors_than_keys_or_room(
        steps in prop::collection::vec(step(), 1..40),
        linger in 0..4_u64,
    ) {
        actix::System::new().block_on(async {
            tokio::time::pause();
            play(steps, secs(linger)).await;
        });
    }
}

async fn play(steps: Vec<Step>, linger: Duration) {
    let (registry, log) = registry(2, linger);
    let mut handles: Vec<Handle<Worker>> = Vec::new();
    let mut openings = Vec::new();
    for step in steps {
        let which = |n: usize| (!handles.is_empty()).then(|| n % handles.len());
        match step {
            Step::Open(key) => {
                let registry = registry.clone();
                openings.push(actix::spawn(async move { registry.open(&key).await }));
            }
            Step::Drop(n) => {
                if let Some(n) = which(n) {
                    handles.swap_remove(n);
                }
            }
            Step::Work(n, time) => {
                if let Some(n) = which(n) {
                    let _ = handles[n].try_tell(Work(How::InContext(secs(time))));
                }
            }
            Step::Panic(n) => {
                if let Some(n) = which(n) {
                    let _ = handles[n].try_tell(Work(How::Panic));
                }
            }
            Step::Stop(n) => {
                if let Some(n) = which(n) {
                    handles[n].stop();
                }
            }
            Step::Wait(time) => tokio::time::sleep(secs(time)).await,
        }
        settle().await;
        for opening in std::mem::take(&mut openings) {
            if opening.is_finished() {
                handles.extend(opening.await.unwrap().ok());
            } else {
                openings.push(opening);
            }
        }
        assert!(alive(&log) <= 2, "{} values are alive", alive(&log));
        assert!(registry.count() <= 2);
    }
    // Nobody hangs: with all clients gone, every opening comes to its end.
    handles.clear();
    for opening in openings {
        drop(opening.await.unwrap());
    }
    assert_eq!(registry.drain(Instant::now() + secs(60)).await, 0);
    assert_eq!(alive(&log), 0);
}
