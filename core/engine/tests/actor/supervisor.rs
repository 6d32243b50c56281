//! Failures, restarts, escalation, arbiters.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use actix::prelude::*;
use postrider::actor::{
    Arbiters, AskError, Escalation, Failure, Failures, Handle, Restart, State, Supervisor,
    WeakHandle,
};
use tokio::time::Instant;

use super::worker::{How, Log, RESTART, Work, Worker, ask_aside, secs, settle};

fn start() -> (Handle<Worker>, Arc<Log>, Failures) {
    let (escalation, failures) = Escalation::channel();
    let log = Arc::new(Log::default());
    let supervisor = Supervisor::new(escalation);
    let handle = supervisor.supervise("worker", 4, RESTART, build(&log));
    (handle, log, failures)
}

fn build(log: &Arc<Log>) -> impl FnMut() -> Worker + Send + use<> {
    let log = log.clone();
    move || Worker::new(&log)
}

#[actix::test]
async fn a_panic_rebuilds_the_actor_behind_the_same_handle() {
    tokio::time::pause();
    let (handle, log, mut failures) = start();
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1));
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(2));
    assert_eq!(handle.ask(Work(How::Panic)).await, Err(AskError::Restarted));
    settle().await;
    assert_eq!(handle.state(), State::Restarting(1));
    assert_eq!(handle.ask(Work(How::Now)).await, Err(AskError::Restarted));
    assert_eq!(handle.rebuilt(1).await, Some(2));
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1), "a fresh value");
    assert_eq!(log.built.load(SeqCst), 2);
    assert_eq!(log.stopped.load(SeqCst), 0, "`stopped` ran after a panic");
    assert_eq!(log.dropped.load(SeqCst), 1);
    drop(handle);
    assert_eq!(failures.next().await, None);
}

#[actix::test]
async fn a_panic_loses_its_value_and_nothing_else() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    let (neighbour, _, _more) = start();
    let beside = ask_aside(&neighbour, How::InContext(secs(9)));
    let lost = ask_aside(&handle, How::InContext(secs(9)));
    let task = ask_aside(&handle, How::AsTask(secs(9)));
    settle().await;
    let later = ask_aside(&handle, How::PanicLater(secs(1)));
    assert_eq!(later.await.unwrap(), Err(AskError::Restarted));
    assert_eq!(lost.await.unwrap(), Err(AskError::Restarted));
    // A task that a handler made is not part of the value: it goes on, with its place.
    settle().await;
    assert_eq!(handle.places_free(), 3);
    assert_eq!(handle.rebuilt(1).await, Some(2));
    assert_eq!(log.most.load(SeqCst), 3);
    assert_eq!(task.await.unwrap(), Ok(2));
    assert_eq!(beside.await.unwrap(), Ok(1));
    assert_eq!(handle.places_free(), 4);
}

#[actix::test]
async fn a_panic_in_a_task_of_its_own_loses_one_ask() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    let ask = handle.ask(Work(How::PanicAsTask(secs(1)))).await;
    assert_eq!(ask, Err(AskError::Restarted));
    assert_eq!(handle.places_free(), 4);
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(2));
    assert_eq!(log.built.load(SeqCst), 1);
}

#[actix::test]
async fn what_was_queued_behind_a_panic_is_answered() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    let asks: Vec<_> = [How::Panic, How::Now, How::Now]
        .into_iter()
        .map(|how| ask_aside(&handle, how))
        .collect();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), Err(AskError::Restarted));
    }
    assert_eq!(log.begun.load(SeqCst), 1);
    assert_eq!(handle.places_free(), 4);
}

#[actix::test]
async fn pauses_double_and_the_last_failure_escalates() {
    tokio::time::pause();
    let (handle, log, mut failures) = start();
    let begin = Instant::now();
    handle.ask(Work(How::Panic)).await.unwrap_err();
    assert_eq!(handle.rebuilt(1).await, Some(2));
    assert_eq!(begin.elapsed().as_secs(), 5);
    handle.ask(Work(How::Panic)).await.unwrap_err();
    assert_eq!(handle.rebuilt(2).await, Some(3));
    assert_eq!(begin.elapsed().as_secs(), 15);
    let waiting: Vec<_> = (0..9).map(|_| ask_aside(&handle, How::Panic)).collect();
    assert_eq!(handle.ended().await, State::Failed);
    let failure = failures.next().await.unwrap();
    let expected = Failure {
        actor: "worker".into(),
        failures: 3,
        window: secs(60),
        reason: "expected in this test".into(),
    };
    assert_eq!(failure, expected);
    assert_eq!(
        failure.to_string(),
        "actor worker failed 3 times within 60s, last: expected in this test"
    );
    for ask in waiting {
        ask.await.unwrap().unwrap_err();
    }
    assert_eq!(handle.ask(Work(How::Now)).await, Err(AskError::Stopped));
    assert_eq!(handle.rebuilt(3).await, None);
    assert_eq!(log.built.load(SeqCst), 3);
}

#[actix::test]
async fn failures_outside_the_window_are_forgotten() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    for n in 1..20 {
        handle.ask(Work(How::Panic)).await.unwrap_err();
        assert_eq!(handle.rebuilt(n).await, Some(n + 1));
        tokio::time::sleep(secs(40)).await;
    }
    assert_eq!(log.built.load(SeqCst), 20);
}

#[actix::test]
async fn a_pause_never_lets_a_hopeless_actor_escape_the_limit() {
    tokio::time::pause();
    let (escalation, mut failures) = Escalation::channel();
    let restart = Restart {
        limit: 9,
        window: secs(60),
        pause: secs(1),
    };
    let begin = Instant::now();
    let handle = Supervisor::new(escalation).supervise("worker", 1, restart, || -> Worker {
        panic!("cannot be built")
    });
    let failure = failures.next().await.unwrap();
    assert_eq!(
        (failure.failures, &*failure.reason),
        (10, "cannot be built")
    );
    assert!(begin.elapsed() < secs(60));
    assert_eq!(handle.state(), State::Failed);
}

#[actix::test]
async fn an_ask_put_before_a_value_that_cannot_be_built_is_answered() {
    tokio::time::pause();
    let (escalation, _failures) = Escalation::channel();
    let handle = Supervisor::new(escalation).supervise("worker", 1, RESTART, || -> Worker {
        panic!("cannot be built")
    });
    assert_eq!(handle.ask(Work(How::Now)).await, Err(AskError::Restarted));
    assert_eq!(handle.places_free(), 1);
}

#[actix::test]
async fn a_panicking_escalation_hurts_nobody() {
    tokio::time::pause();
    let supervisor = Supervisor::new(Escalation::new(|_| panic!("expected in this test")));
    let handle = supervisor.supervise("worker", 1, Restart::NEVER, || -> Worker {
        panic!("cannot be built")
    });
    assert_eq!(handle.ended().await, State::Failed);
}

#[test]
fn without_an_own_escalation_the_system_ends_with_a_code() {
    let system = actix::System::new();
    let handle = system.block_on(async {
        let handle = postrider::actor::supervise("worker", 1, Restart::NEVER, || -> Worker {
            panic!("cannot be built")
        });
        assert_eq!(handle.ended().await, State::Failed);
        handle
    });
    assert_eq!(system.run_with_code().unwrap(), 70);
    drop(handle);
}

#[actix::test]
async fn a_stop_ends_the_pause_before_a_restart() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    handle.ask(Work(How::Panic)).await.unwrap_err();
    settle().await;
    let begin = Instant::now();
    handle.stop();
    assert_eq!(handle.ended().await, State::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 0);
    assert_eq!(log.built.load(SeqCst), 1);
}

#[actix::test]
async fn nobody_is_rebuilt_for_nobody() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    handle.ask(Work(How::Panic)).await.unwrap_err();
    settle().await;
    let ended = handle.ended();
    let begin = Instant::now();
    drop(handle);
    assert_eq!(ended.await, State::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 0);
    assert_eq!(log.built.load(SeqCst), 1);
}

#[actix::test]
async fn nor_if_nobody_was_left_when_it_failed() {
    tokio::time::pause();
    let (handle, log, _failures) = start();
    handle.try_tell(Work(How::PanicLater(secs(1)))).unwrap();
    settle().await;
    let ended = handle.ended();
    drop(handle);
    let begin = Instant::now();
    assert_eq!(ended.await, State::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 1);
    assert_eq!(log.built.load(SeqCst), 1);
}

#[actix::test]
async fn an_actor_may_know_itself() {
    struct Own(Mutex<WeakHandle<Worker>>);
    let (escalation, _failures) = Escalation::channel();
    let log = Arc::new(Log::default());
    let seen = Arc::new(Mutex::new(None));
    let handle = {
        let (log, seen) = (log.clone(), seen.clone());
        Supervisor::new(escalation).supervise_with("worker", 1, RESTART, move |own| {
            *seen.lock().unwrap() = Some(Own(Mutex::new(own.clone())));
            Worker::new(&log)
        })
    };
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1));
    let own = seen.lock().unwrap().take().unwrap();
    let own = own.0.lock().unwrap().upgrade().unwrap();
    assert!(own.is(&handle));
}

/// Works for a while without being asked.
struct Connection(Arc<AtomicBool>, Panics);

#[derive(Clone, Copy, PartialEq)]
enum Panics {
    Never,
    AtStart,
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        assert!(self.1 == Panics::Never, "expected in this test");
        context.run_later(secs(10), |this, context| {
            this.0.store(true, SeqCst);
            context.stop();
        });
    }
}

#[actix::test]
async fn an_actor_that_ends_by_itself_needs_no_handle_and_disturbs_nobody() {
    tokio::time::pause();
    let (escalation, mut failures) = Escalation::channel();
    let supervisor = Supervisor::new(escalation);
    let done = Arc::new(AtomicBool::new(false));
    let begin = Instant::now();
    let ended = {
        let done = done.clone();
        let handle = supervisor.once("connection", 1, |_| Connection(done, Panics::Never));
        handle.ended()
    };
    assert_eq!(ended.await, State::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert!(done.load(SeqCst));

    let fails = supervisor.once("connection", 1, |_| {
        Connection(Arc::default(), Panics::AtStart)
    });
    assert_eq!(fails.ended().await, State::Failed);
    drop(supervisor);
    assert_eq!(failures.next().await, None);
}

#[actix::test]
async fn an_actor_moves_when_its_arbiter_ends() {
    let (escalation, _failures) = Escalation::channel();
    let arbiters = Arbiters::start(2).unwrap();
    let log = Arc::new(Log::default());
    let restart = Restart {
        pause: std::time::Duration::from_millis(1),
        ..RESTART
    };
    let supervisor = Supervisor::new(escalation).across(&arbiters);
    let handle = supervisor.supervise("worker", 2, restart, build(&log));
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1));
    // It lives on the first one.
    let lost = handle.clone();
    let lost = actix::spawn(async move { lost.ask(Work(How::InContext(secs(600)))).await });
    while log.begun.load(SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    arbiters.each().next().unwrap().stop();
    assert_eq!(lost.await.unwrap(), Err(AskError::Restarted));
    assert_eq!(handle.rebuilt(1).await, Some(2));
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1));
    assert_eq!(log.built.load(SeqCst), 2);
    assert_eq!(log.stopped.load(SeqCst), 0);
    assert_eq!(handle.places_free(), 2);
    assert_eq!(arbiters.each().count(), 1);
    handle.stop();
    assert_eq!(handle.ended().await, State::Stopped);
    arbiters.join();
    assert!(arbiters.pick().is_none());
}

#[actix::test]
async fn an_actor_without_an_arbiter_escalates() {
    let (escalation, mut failures) = Escalation::channel();
    let supervisor = Supervisor::new(escalation);
    let arbiters = Arbiters::start(1).unwrap();
    let arbiter = arbiters.pick().unwrap();
    let log = Arc::new(Log::default());
    let handle = supervisor
        .on(arbiter.clone())
        .supervise("worker", 1, RESTART, build(&log));
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1));
    arbiters.join();
    assert_eq!(handle.ended().await, State::Failed);
    assert_eq!(failures.next().await.unwrap().reason, "its arbiter ended");
    assert_eq!(handle.ask(Work(How::Now)).await, Err(AskError::Stopped));

    let late = supervisor
        .on(arbiter)
        .supervise("worker", 1, RESTART, build(&log));
    assert_eq!(late.ended().await, State::Failed);
    assert_eq!(failures.next().await.unwrap().reason, "its arbiter ended");

    let none = std::thread::spawn({
        let log = log.clone();
        move || supervisor.supervise("worker", 1, RESTART, build(&log))
    });
    assert_eq!(none.join().unwrap().state(), State::Failed);
    let failure = failures.next().await.unwrap();
    assert_eq!(failure.reason, "there is no arbiter to run on");
    assert_eq!(log.built.load(SeqCst), 1);
}

#[actix::test]
async fn arbiters_take_turns() {
    let arbiters = Arbiters::start(3).unwrap();
    let mut threads = Vec::new();
    for _ in 0..6 {
        let (send, receive) = tokio::sync::oneshot::channel();
        arbiters.pick().unwrap().spawn_fn(move || {
            let _ = send.send(std::thread::current().id());
        });
        threads.push(receive.await.unwrap());
    }
    assert_eq!(threads[..3], threads[3..]);
    assert!(threads[0] != threads[1] && threads[1] != threads[2] && threads[0] != threads[2]);
    assert_eq!(arbiters.count(), 3);
    arbiters.join();
}

#[test]
fn arbiters_need_a_system() {
    Arbiters::start(1).unwrap_err();
}
