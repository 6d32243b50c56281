//! The end in order.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use postrider::actor::{Drain, Escalation, Stage, Stages, State, Supervisor};
use tokio::time::Instant;

use super::worker::{How, Log, RESTART, Work, Worker, ask_aside, secs, settle};

fn patient(_: Stage) -> Duration {
    secs(30)
}

/// Works in a stage; once told, takes `after` more.
fn work(drain: Drain, after: u64) -> tokio::task::JoinHandle<&'static str> {
    actix::spawn(async move {
        let _work = drain.work().unwrap();
        drain.begun().await;
        tokio::select! {
            () = tokio::time::sleep(secs(after)) => "finished",
            () = drain.over() => "cut",
        }
    })
}

#[actix::test]
async fn stages_end_one_after_the_other() {
    tokio::time::pause();
    let stages = Stages::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    for stage in Stage::ALL.into_iter().rev() {
        let order = order.clone();
        stages.at(stage, stage.name(), move |_| async move {
            tokio::time::sleep(secs(1)).await;
            order.lock().unwrap().push(stage);
        });
    }
    let connection = stages.drain(Stage::Connections);
    let tasks = [work(connection.clone(), 5), work(connection.clone(), 3)];
    settle().await;
    assert_eq!(connection.open(), 2);
    assert!(!connection.has_begun());
    let begin = Instant::now();
    let report = stages.stop(patient).await;
    for task in tasks {
        assert_eq!(task.await.unwrap(), "finished");
    }
    assert_eq!(*order.lock().unwrap(), Stage::ALL);
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert!(report.is_clean());
    let took: Vec<_> = report.stages.iter().map(|one| one.took.as_secs()).collect();
    assert_eq!(took, [1, 5, 1, 1, 1, 1]);
    assert!(connection.work().is_none());
    // Once more finds nothing to do.
    let begin = Instant::now();
    assert!(stages.stop(patient).await.is_clean());
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn a_later_stage_works_until_it_is_its_turn() {
    tokio::time::pause();
    let stages = Stages::new();
    let (early, late) = (stages.drain(Stage::Connections), stages.drain(Stage::Index));
    let open = work(early.clone(), 10);
    settle().await;
    let stop = actix::spawn({
        let stages = stages.clone();
        async move { stages.stop(patient).await }
    });
    tokio::time::sleep(secs(5)).await;
    assert!(early.has_begun() && early.work().is_none());
    assert!(!late.has_begun());
    drop(late.work().unwrap());
    assert_eq!(open.await.unwrap(), "finished");
    assert!(stop.await.unwrap().is_clean());
}

#[actix::test]
async fn what_does_not_end_in_time_is_cut() {
    tokio::time::pause();
    let stages = Stages::new();
    let stuck = work(stages.drain(Stage::Connections), 1000);
    let quick = work(stages.drain(Stage::Connections), 1);
    stages.at(Stage::Queue, "stuck", |_| std::future::pending());
    settle().await;
    let begin = Instant::now();
    let report = stages.stop(patient).await;
    assert_eq!(begin.elapsed().as_secs(), 60);
    assert_eq!(stuck.await.unwrap(), "cut");
    assert_eq!(quick.await.unwrap(), "finished");
    assert!(!report.is_clean());
    let bad: Vec<_> = report.stages.iter().filter(|one| !one.in_time).collect();
    assert_eq!(bad.len(), 2);
    assert_eq!((bad[0].stage, bad[0].left), (Stage::Connections, 1));
    assert_eq!((bad[1].stage, bad[1].left), (Stage::Queue, 0));
}

#[actix::test]
async fn a_second_signal_ends_everything_at_once() {
    tokio::time::pause();
    let stages = Stages::new();
    let tasks = Stage::ALL.map(|stage| work(stages.drain(stage), 1000));
    settle().await;
    let begin = Instant::now();
    let stop = actix::spawn({
        let stages = stages.clone();
        async move { stages.stop(patient).await }
    });
    tokio::time::sleep(secs(2)).await;
    stages.hurry();
    let report = stop.await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 2);
    for task in tasks {
        assert_eq!(task.await.unwrap(), "cut");
    }
    assert!(report.stages.iter().all(|one| !one.in_time));
}

#[actix::test]
async fn actors_are_stopped_with_their_stage_and_finish_what_they_have() {
    tokio::time::pause();
    let (escalation, _failures) = Escalation::channel();
    let supervisor = Supervisor::new(escalation);
    let log = Arc::new(Log::default());
    let handle = {
        let log = log.clone();
        supervisor.supervise("worker", 2, RESTART, move || Worker::new(&log))
    };
    let stages = Stages::new();
    stages.stop_actor(Stage::Mailboxes, &handle);
    let open = ask_aside(&handle, How::InContext(secs(7)));
    settle().await;
    let report = stages.stop(patient).await;
    assert_eq!(open.await.unwrap(), Ok(1));
    assert_eq!(handle.state(), State::Stopped);
    assert_eq!(report.stages[3].took.as_secs(), 7);
    handle.ask(Work(How::Now)).await.unwrap_err();
}

#[actix::test]
async fn a_panic_while_closing_does_not_stop_the_stopping() {
    tokio::time::pause();
    let stages = Stages::new();
    stages.at(Stage::Queue, "bad", |_| async {
        panic!("expected in this test")
    });
    stages.at(Stage::Queue, "worse", |_| -> std::future::Ready<()> {
        panic!("expected in this test")
    });
    let open = work(stages.drain(Stage::Index), 1);
    settle().await;
    assert!(stages.stop(patient).await.is_clean());
    assert_eq!(open.await.unwrap(), "finished");
}

#[actix::test]
async fn work_begins_and_ends_on_any_thread() {
    let stages = Stages::new();
    let drain = stages.drain(Stage::Connections);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let drain = drain.clone();
            std::thread::spawn(move || {
                let mut begun = 0_u64;
                while let Some(work) = drain.work() {
                    begun += 1;
                    drop(work);
                }
                begun
            })
        })
        .collect();
    let first = drain.work();
    drop(first);
    assert!(stages.stop(patient).await.is_clean());
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(drain.open(), 0);
}

const CHILD: &str = "POSTRIDER_TEST_DRAIN_CHILD";

#[test]
fn a_signal_drains_and_a_second_one_ends_at_once() {
    if std::env::var_os(CHILD).is_some() {
        actix::System::new().block_on(async {
            let stages = Stages::new();
            let stuck = work(stages.drain(Stage::Connections), 600);
            stages.at(Stage::Listeners, "listeners", |_| async {
                println!("draining")
            });
            let report = {
                let stop = stages.stop_on_signals(|_| secs(600));
                tokio::pin!(stop);
                // Listening begins with the first poll.
                assert!((&mut stop).now_or_never().is_none());
                println!("ready");
                stop.await.unwrap()
            };
            println!("{} {}", stuck.await.unwrap(), report.stages[1].left);
        });
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "drain::a_signal_drains_and_a_second_one_ends_at_once",
        ])
        .arg("--nocapture")
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut hear = |what: &str| {
        let heard = lines.any(|line| line.unwrap().ends_with(what));
        assert!(heard, "the process did not say {what:?}");
    };
    let signal = |name: &str| {
        let kill = Command::new("kill")
            .args(["-s", name, &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    };
    hear("ready");
    signal("TERM");
    hear("draining");
    signal("INT");
    hear("cut 1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn stages_have_names_and_an_order() {
    for (n, stage) in Stage::ALL.into_iter().enumerate() {
        assert_eq!(stage as usize, n);
        assert!(!stage.name().is_empty());
    }
    assert!(Stage::ALL.is_sorted());
}
