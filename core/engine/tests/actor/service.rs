//! The service runtime, called from an arbiter.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use postrider::actor::{Gone, ServiceRuntime};
use tokio::sync::oneshot;

use super::worker::{secs, settle};

#[actix::test]
async fn work_runs_there_and_its_result_comes_here() {
    let service = ServiceRuntime::start(2, 1).unwrap();
    let here = std::thread::current().id();
    let there = service.spawn(async { std::thread::current().id() });
    assert_ne!(there.await.unwrap(), here);
    let blocking = service.spawn_blocking(|| std::thread::current().id());
    assert_ne!(blocking.await.unwrap(), here);
    // What libraries spawn on their own lands there too.
    let inner = service.spawn(async { tokio::spawn(async { 7 }).await.unwrap() });
    assert_eq!(inner.await, Ok(7));
}

#[actix::test]
async fn a_panic_is_told_to_who_waits_and_to_nobody_else() {
    let service = ServiceRuntime::start(1, 1).unwrap();
    let task: Result<(), _> = service
        .spawn(async { panic!("expected in this test") })
        .await;
    assert_eq!(task, Err(Gone::Panicked));
    let job = service.spawn_blocking(|| panic!("expected in this test"));
    assert_eq!(job.await, Err::<(), _>(Gone::Panicked));
    assert_eq!(service.spawn_blocking(|| 1).await, Ok(1));
    assert_eq!(service.spawn(async { 2 }).await, Ok(2));
}

#[actix::test]
async fn blocking_jobs_are_bounded_and_outlive_who_asked() {
    let service = ServiceRuntime::start(1, 2).unwrap();
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..40)
        .map(|_| {
            let (service, running, most) = (service.clone(), running.clone(), most.clone());
            actix::spawn(async move {
                let job = service.spawn_blocking(move || {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, SeqCst);
                });
                job.await
            })
        })
        .collect();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    assert!(most.load(SeqCst) <= 2);

    // Two who have left still hold their permits.
    let mut gates = Vec::new();
    for _ in 0..2 {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let service = service.clone();
        let asker = actix::spawn(async move {
            let job = service.spawn_blocking(move || {
                let _ = begun.send(());
                let _ = gate.recv();
            });
            job.await
        });
        begins.await.unwrap();
        asker.abort();
        gates.push(open);
    }
    let third = actix::spawn({
        let service = service.clone();
        async move { service.spawn_blocking(|| 3).await }
    });
    settle().await;
    assert!(!third.is_finished());
    gates.pop();
    assert_eq!(third.await.unwrap(), Ok(3));
}

#[actix::test]
async fn a_stopped_runtime_says_so() {
    let service = ServiceRuntime::start(1, 1).unwrap();
    let forever = service.spawn(std::future::pending::<()>());
    service.stop(secs(5)).await;
    assert_eq!(forever.await, Err(Gone::Stopped));
    assert_eq!(service.spawn(async {}).await, Err(Gone::Stopped));
    assert_eq!(service.spawn_blocking(|| ()).await, Err(Gone::Stopped));
    service.stop(secs(5)).await;
}

#[actix::test]
async fn stopping_waits_for_blocking_jobs() {
    let service = ServiceRuntime::start(1, 1).unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let (begun, begins) = oneshot::channel();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let job = actix::spawn({
        let (service, done) = (service.clone(), done.clone());
        async move {
            let job = service.spawn_blocking(move || {
                let _ = begun.send(());
                let _ = gate.recv();
                done.fetch_add(1, SeqCst);
            });
            job.await
        }
    });
    begins.await.unwrap();
    let stop = actix::spawn({
        let service = service.clone();
        async move { service.stop(secs(600)).await }
    });
    settle().await;
    assert!(!stop.is_finished());
    drop(open);
    stop.await.unwrap();
    assert_eq!(done.load(SeqCst), 1);
    job.await.unwrap().unwrap();
}

#[actix::test]
async fn the_last_clone_may_be_dropped_anywhere() {
    // On an arbiter.
    drop(ServiceRuntime::start(1, 1).unwrap());
    // On a thread of its own runtime.
    let service = ServiceRuntime::start(1, 1).unwrap();
    let (gone, going) = oneshot::channel();
    let (dropped, drops) = oneshot::channel::<()>();
    let own = service.clone();
    let task = service.spawn(async move {
        let _: Result<(), _> = going.await;
        drop(own);
        let _ = dropped.send(());
    });
    drop(service);
    gone.send(()).unwrap();
    drops.await.unwrap();
    // The task may or may not get to its end once its runtime has gone.
    let _ = task.await;
}
