//! Bounds, answers and askers.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use metrics_exporter_prometheus::PrometheusBuilder;
use postrider::actor::{AskError, Handle, State, supervise};
use tokio::time::Instant;

use super::worker::{How, Log, RESTART, Work, Worker, ask_aside, secs, settle};

fn start(places: usize) -> (Handle<Worker>, Arc<Log>) {
    let log = Arc::new(Log::default());
    let handle = {
        let log = log.clone();
        supervise("worker", places, RESTART, move || Worker::new(&log))
    };
    (handle, log)
}

#[actix::test]
async fn queued_and_running_work_is_bounded_over_all_clones() {
    tokio::time::pause();
    let (handle, log) = start(4);
    let begin = Instant::now();
    let asks: Vec<_> = (0..1000)
        .map(|_| ask_aside(&handle, How::InContext(secs(1))))
        .collect();
    settle().await;
    assert_eq!(handle.try_tell(Work(How::Now)), Err(AskError::Overloaded));
    for ask in asks {
        ask.await.unwrap().unwrap();
    }
    assert_eq!(log.most.load(SeqCst), 4);
    assert_eq!(begin.elapsed().as_secs(), 250);
    assert_eq!(handle.places_free(), 4);
}

#[actix::test]
async fn every_kind_of_answer_arrives_and_holds_its_place_until_then() {
    tokio::time::pause();
    let kinds = [
        How::InContext(secs(1)),
        How::Alone(secs(1)),
        How::AsTask(secs(1)),
    ];
    for how in kinds {
        let (handle, _) = start(2);
        let ask = ask_aside(&handle, how);
        settle().await;
        assert_eq!(handle.places_free(), 1, "{how:?}");
        assert_eq!(ask.await.unwrap(), Ok(1), "{how:?}");
        assert_eq!(handle.places_free(), 2, "{how:?}");
    }
    let (handle, _) = start(1);
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(1));
    assert_eq!(handle.places_free(), 1);
}

#[actix::test]
async fn exclusive_work_keeps_the_queue_waiting_and_nothing_is_lost() {
    tokio::time::pause();
    let (handle, log) = start(8);
    let begin = Instant::now();
    let asks: Vec<_> = (0..8)
        .map(|_| ask_aside(&handle, How::Alone(secs(1))))
        .collect();
    for (n, ask) in asks.into_iter().enumerate() {
        assert_eq!(ask.await.unwrap(), Ok(n + 1));
    }
    assert_eq!(log.most.load(SeqCst), 1);
    assert_eq!(begin.elapsed().as_secs(), 8);
}

#[actix::test]
async fn an_overloaded_ask_did_nothing() {
    tokio::time::pause();
    let (handle, log) = start(1);
    let long = ask_aside(&handle, How::InContext(secs(60)));
    settle().await;
    let begin = Instant::now();
    let late = handle.ask_before(begin + secs(10), Work(How::Now)).await;
    assert_eq!(late, Err(AskError::Overloaded));
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(log.begun.load(SeqCst), 1);
    // In time it waits for the place, and then as long as the answer takes.
    let deadline = Instant::now() + secs(55);
    let soon = handle.ask_before(deadline, Work(How::InContext(secs(100))));
    assert_eq!(soon.await, Ok(2));
    assert_eq!(long.await.unwrap(), Ok(1));
    // A free place is taken even if the deadline has passed.
    assert_eq!(handle.ask_before(begin, Work(How::Now)).await, Ok(3));
}

#[actix::test]
async fn an_ask_outlives_its_asker_and_so_does_its_place() {
    tokio::time::pause();
    for how in [How::InContext(secs(5)), How::AsTask(secs(5))] {
        let (handle, log) = start(1);
        let ask = ask_aside(&handle, how);
        settle().await;
        ask.abort();
        settle().await;
        assert_eq!(handle.places_free(), 0);
        assert_eq!(handle.ask(Work(How::Now)).await, Ok(2), "{how:?}");
        assert_eq!(log.finished.load(SeqCst), 1, "{how:?}");
    }
}

#[actix::test]
async fn an_ask_whose_asker_left_while_it_was_queued_runs_all_the_same() {
    tokio::time::pause();
    let (handle, log) = start(2);
    let alone = ask_aside(&handle, How::Alone(secs(5)));
    settle().await;
    let queued = ask_aside(&handle, How::InContext(secs(1)));
    settle().await;
    assert_eq!(log.begun.load(SeqCst), 1, "the second one is queued");
    queued.abort();
    assert_eq!(alone.await.unwrap(), Ok(1));
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(3));
    assert_eq!(log.begun.load(SeqCst), 3);
}

#[actix::test]
async fn an_asker_who_leaves_before_it_has_a_place_did_nothing() {
    tokio::time::pause();
    let (handle, log) = start(1);
    let first = ask_aside(&handle, How::InContext(secs(5)));
    settle().await;
    let second = ask_aside(&handle, How::Now);
    settle().await;
    second.abort();
    assert_eq!(first.await.unwrap(), Ok(1));
    settle().await;
    assert_eq!(log.begun.load(SeqCst), 1);
    assert_eq!(handle.places_free(), 1);
}

#[test]
fn a_handle_works_on_runtimes_that_know_nothing_of_actix() {
    let (send, receive) = std::sync::mpsc::channel();
    let (quit, quitted) = tokio::sync::oneshot::channel::<()>();
    let home = std::thread::spawn(move || {
        actix::System::new().block_on(async move {
            send.send(start(3)).unwrap();
            let _ = quitted.await;
        });
    });
    let (handle, log) = receive.recv().unwrap();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    threads.block_on(async {
        let ms = std::time::Duration::from_millis;
        let asks: Vec<_> = (0..200_u64)
            .map(|n| {
                let handle = handle.clone();
                let how = match n % 3 {
                    0 => How::Now,
                    1 => How::InContext(ms(n % 4)),
                    _ => How::AsTask(ms(n % 4)),
                };
                tokio::spawn(async move { handle.ask(Work(how)).await })
            })
            .collect();
        // Some askers leave, wherever they are.
        for (n, ask) in asks.into_iter().enumerate() {
            if n % 7 == 0 {
                ask.abort();
            } else {
                ask.await.unwrap().unwrap();
            }
        }
        while handle.places_free() != 3 {
            tokio::task::yield_now().await;
        }
    });
    assert!(log.most.load(SeqCst) <= 3);
    // A plain thread with an executor that is no runtime at all.
    assert!(futures_util::FutureExt::now_or_never(handle.ended()).is_none());
    assert_eq!(handle.try_tell(Work(How::Now)), Ok(()));
    handle.stop();
    let end = threads.block_on(handle.ended());
    assert_eq!(end, State::Stopped);
    quit.send(()).unwrap();
    home.join().unwrap();
}

#[actix::test]
async fn a_stop_finishes_what_was_admitted_and_refuses_the_rest() {
    tokio::time::pause();
    let (handle, log) = start(3);
    let admitted: Vec<_> = [
        How::Alone(secs(5)),
        How::InContext(secs(5)),
        How::AsTask(secs(5)),
    ]
    .into_iter()
    .map(|how| ask_aside(&handle, how))
    .collect();
    settle().await;
    let waiting = ask_aside(&handle, How::Now);
    settle().await;
    let begin = Instant::now();
    handle.stop();
    assert_eq!(handle.state(), State::Stopping);
    assert_eq!(waiting.await.unwrap(), Err(AskError::Stopped));
    assert_eq!(
        begin.elapsed().as_secs(),
        0,
        "who waits for a place is told at once"
    );
    assert_eq!(handle.ask(Work(How::Now)).await, Err(AskError::Stopped));
    assert_eq!(handle.try_tell(Work(How::Now)), Err(AskError::Stopped));
    for (n, ask) in admitted.into_iter().enumerate() {
        assert_eq!(ask.await.unwrap(), Ok(n + 1));
    }
    assert_eq!(handle.ended().await, State::Stopped);
    assert_eq!((log.stopped.load(SeqCst), log.dropped.load(SeqCst)), (1, 1));
    assert!(handle.downgrade().upgrade().is_none());
    handle.stop();
}

#[actix::test]
async fn an_actor_stops_when_its_last_handle_is_gone_and_its_work_is_done() {
    tokio::time::pause();
    let (handle, log) = start(4);
    let weak = handle.downgrade();
    let ended = handle.ended();
    for how in [How::InContext(secs(3)), How::AsTask(secs(5))] {
        handle.try_tell(Work(how)).unwrap();
    }
    settle().await;
    assert!(weak.upgrade().is_some());
    drop(handle);
    assert!(weak.upgrade().is_none());
    let begin = Instant::now();
    assert_eq!(ended.await, State::Stopped);
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(log.finished.load(SeqCst), 2);
    assert_eq!(log.stopped.load(SeqCst), 1);
}

#[actix::test]
async fn an_actor_that_stops_itself_refuses_what_is_queued() {
    tokio::time::pause();
    let (handle, log) = start(4);
    let asks: Vec<_> = [How::Stop, How::Now]
        .into_iter()
        .map(|how| ask_aside(&handle, how))
        .collect();
    let mut answers = Vec::new();
    for ask in asks {
        answers.push(ask.await.unwrap());
    }
    assert_eq!(answers, [Ok(1), Err(AskError::Stopped)]);
    assert_eq!(handle.ended().await, State::Stopped);
    assert_eq!(log.begun.load(SeqCst), 1);
    assert_eq!(handle.ask(Work(How::Now)).await, Err(AskError::Stopped));
}

#[actix::test]
async fn a_recipient_asks_without_naming_the_actor() {
    let (handle, _) = start(1);
    let recipient = handle.recipient::<Work>();
    let weak = recipient.downgrade();
    assert_eq!(recipient.ask(Work(How::Now)).await, Ok(1));
    let soon = Instant::now() + secs(1);
    assert_eq!(recipient.ask_before(soon, Work(How::Now)).await, Ok(2));
    assert_eq!(recipient.try_tell(Work(How::Now)), Ok(()));
    assert_eq!(
        recipient.try_tell(Work(How::Now)),
        Err(AskError::Overloaded)
    );
    drop(handle);
    assert_eq!(weak.upgrade().unwrap().ask(Work(How::Now)).await, Ok(4));
    drop(recipient);
    assert!(weak.upgrade().is_none());
}

#[actix::test]
async fn a_long_queue_does_not_hold_up_the_neighbours() {
    let (handle, log) = start(100_000);
    for _ in 0..100_000 {
        handle.try_tell(Work(How::Now)).unwrap();
    }
    let neighbour = actix::spawn({
        let log = log.clone();
        async move { log.begun.load(SeqCst) }
    });
    let done_before = neighbour.await.unwrap();
    assert!(
        done_before < 50_000,
        "{done_before} asks were handled in one go"
    );
    assert_eq!(handle.ask(Work(How::Now)).await, Ok(100_001));
}

#[test]
fn what_happens_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        actix::System::new().block_on(async {
            tokio::time::pause();
            let (handle, _) = start(2);
            handle.ask(Work(How::Now)).await.unwrap();
            let open = ask_aside(&handle, How::InContext(secs(5)));
            ask_aside(&handle, How::AsTask(secs(5)));
            settle().await;
            handle.try_tell(Work(How::Now)).unwrap_err();
            let text = rendered.render();
            for line in [
                "postrider_actor_places_taken{actor=\"worker\"} 2",
                "postrider_actor_asks_total{actor=\"worker\"} 3",
                "postrider_asks_refused_total{actor=\"worker\"} 1",
            ] {
                assert!(text.contains(line), "{line} is not in\n{text}");
            }
            open.await.unwrap().unwrap();
            handle.ask(Work(How::Panic)).await.unwrap_err();
            tokio::time::sleep(secs(6)).await;
            handle.ask(Work(How::Now)).await.unwrap();
            handle.stop();
            handle.ended().await;
        });
    });
    let text = rendered.render();
    for line in [
        "postrider_actor_places_taken{actor=\"worker\"} 0",
        "postrider_asks_lost_total{actor=\"worker\"} 1",
        "postrider_actor_failures_total{actor=\"worker\"} 1",
        "postrider_actor_restarts_total{actor=\"worker\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
