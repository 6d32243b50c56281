//! A panic while a panic unwinds aborts the process. An actor cannot do that.
//!
//! The misbehaving actor runs in a process of its own: this test binary, told to run one test only.

use std::process::Command;
use std::thread;

use actix::prelude::*;
use postrider::actor::{AskError, Escalation, Restart, State, Supervisor};

use super::worker::secs;

/// Panics wherever it can, most of all where it must not.
struct Villain;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic(Where);

#[derive(Clone, Copy)]
enum Where {
    Handler,
    Future,
}

impl Actor for Villain {
    type Context = Context<Self>;

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        assert!(!thread::panicking(), "in `stopping` while unwinding");
        panic!("in `stopping`")
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        panic!("in `stopped`")
    }
}

impl Drop for Villain {
    fn drop(&mut self) {
        panic!("in `drop`")
    }
}

impl Handler<Panic> for Villain {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Panic(place): Panic, _: &mut Context<Self>) -> Self::Result {
        if let Where::Handler = place {
            panic!("in the handler")
        }
        Box::pin(async { panic!("in a future") }.into_actor(self))
    }
}

const CHILD: &str = "POSTRIDER_TEST_UNWIND_CHILD";

#[test]
fn an_actor_that_panics_everywhere_does_not_end_the_process() {
    if std::env::var_os(CHILD).is_some() {
        return villainy();
    }
    let out = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "unwind::an_actor_that_panics_everywhere_does_not_end_the_process",
        ])
        .arg("--nocapture")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}\n{text}", out.status);
    for said in [
        "in the handler",
        "in a future",
        "in `stopping`",
        "in `drop`",
    ] {
        assert!(text.contains(said), "nobody panicked {said}\n{text}");
    }
    assert!(!text.contains("while unwinding"), "{text}");
}

/// The check that the test above can fail: what plain actix does with the same actor.
#[test]
fn plain_actix_aborts_with_it() {
    if std::env::var_os(CHILD).is_some() {
        actix::System::new().block_on(async {
            #[allow(clippy::disallowed_methods)]
            let _ = Villain.start().send(Panic(Where::Handler)).await;
        });
        return;
    }
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "unwind::plain_actix_aborts_with_it"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(!out.status.success());
}

fn villainy() {
    actix::System::new().block_on(async {
        tokio::time::pause();
        let (escalation, mut failures) = Escalation::channel();
        let supervisor = Supervisor::new(escalation);
        let restart = Restart {
            limit: 2,
            window: secs(60),
            pause: secs(1),
        };
        let handle = supervisor.supervise("villain", 1, restart, || Villain);
        for (generation, place) in [(1, Where::Handler), (2, Where::Future)] {
            let answer = handle.ask(Panic(place)).await;
            assert_eq!(answer, Err(AskError::Restarted));
            assert_eq!(handle.rebuilt(generation).await, Some(generation + 1));
        }
        // Orderly, as far as it lets us: this is a failure too, the third.
        handle.stop();
        assert_eq!(handle.ended().await, State::Failed);
        let failure = failures.next().await.unwrap();
        assert_eq!(failure.reason, "in `stopping`");

        // Its arbiter ends under it.
        let arbiter = Arbiter::new();
        let handle = supervisor
            .on(arbiter.handle())
            .supervise("villain", 1, restart, || Villain);
        while handle.places_free() != 1 {
            tokio::task::yield_now().await;
        }
        arbiter.stop();
        arbiter.join().unwrap();
        assert_eq!(handle.ended().await, State::Failed);
    });
}
