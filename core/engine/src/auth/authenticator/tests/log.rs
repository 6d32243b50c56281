//! The lines that logins leave, as they are written: what Fail2ban reads, and nobody can forge.

use postrider_storage::index::AuthType;
use tracing_subscriber::layer::SubscriberExt;

use super::super::super::memory::MemoryResolver;
use super::*;
use crate::telemetry::testing::{self, Lines};
use crate::telemetry::{LogLayer, never_deaf};

fn listen() -> (Lines, tracing::subscriber::DefaultGuard) {
    testing::listen("off,postrider::auth=info")
}

#[tokio::test(start_paused = true)]
async fn each_decision_leaves_one_line_that_says_who_decided_and_why() {
    let (log, _guard) = listen();
    let memory = Arc::new(MemoryResolver::new([("dir@example.test", "hunter2")]));
    memory.set_broken(Some("down"));
    let house = House::with(settings(), vec![memory.clone()]).await;
    let _ = login(&house, HOME, ADA, "secret").await;
    let _ = login(&house, HOME, "Ada@example.test", "secret").await;
    memory.set_broken(None);
    let _ = login(&house, HOME, ADA, "hunter2").await;
    house.accounts.away.store(true, Ordering::SeqCst);
    let _ = login(&house, HOME, ADA, "hunter2").await;
    assert_eq!(
        log.lines(),
        [
            "INFO postrider::auth: peer=192.0.2.1:4711 service=imaps login accepted by=local \
             why=\"memory: unavailable, down; local: granted\" mechanism=PLAIN account=ada@example.test",
            "INFO postrider::auth: peer=192.0.2.1:4711 service=imaps login accepted by=local \
             why=\"local: granted lately\" mechanism=PLAIN account=ada@example.test",
            "INFO postrider::auth: peer=192.0.2.1:4711 service=imaps login failed by=local \
             why=\"memory: unknown, no such user; local: denied, wrong password\" mechanism=PLAIN user=ada@example.test",
            "WARN postrider::auth: peer=192.0.2.1:4711 service=imaps login not decided by=index \
             why=\"storage unavailable: cut\" mechanism=PLAIN user=ada@example.test",
        ]
    );
}

/// The client hears what everybody hears; the log says once what is the matter, and again when it is another matter.
#[tokio::test(start_paused = true)]
async fn attack_33_a_hash_that_nobody_can_verify_is_said_to_the_operator_alone() {
    let (log, _guard) = listen();
    let house = House::new().await;
    let odd = "odd@example.test";
    let id = house.accounts.add(odd, Some("?"), AuthType::Local).await;
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(login(&house, client, odd, "secret").await, denied());
        assert_eq!(login(&house, client, ADA, "wrong").await, denied());
    }
    let complaints = |lines: Vec<String>| {
        let complaint = "WARN postrider::auth: nobody can log in: set a new password";
        lines.iter().filter(|it| it.starts_with(complaint)).count()
    };
    let lines = log.lines();
    assert!(
        lines.iter().any(|it| it.contains(odd)
            && it.contains("cannot verify a damaged hash: no scheme that we know")),
        "{lines:?}"
    );
    assert_eq!(complaints(lines), 1);
    let set = SetPassword {
        account: id,
        password: Some("!".to_owned()),
        only_if: None,
        now: Timestamp(0),
    };
    house.accounts.apply(Change::SetPassword(set)).await;
    assert_eq!(login(&house, "192.0.2.4", odd, "secret").await, denied());
    assert_eq!(complaints(log.lines()), 1);
}

#[tokio::test(start_paused = true)]
async fn attack_34_no_user_name_passes_for_another_peer() {
    let (log, _guard) = listen();
    let house = House::new().await;
    let spans = tracing::info_span!(
        "connection",
        helo = "peer=203.0.113.9:1 login failed",
        session = 7
    );
    for name in [
        "peer=203.0.113.9:1 login failed",
        "x\n2026-01-01T00:00:00Z INFO postrider::auth: peer=203.0.113.9:1 service=imaps login failed",
    ] {
        let attempt = House::attempt("2001:db8::7", name, "hunter2");
        let judged = house.auth.authenticate(attempt).instrument(spans.clone());
        assert_eq!(judged.await.err(), Some(Verdict::Denied));
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        let begin =
            "INFO postrider::auth: peer=[2001:db8::7]:4711 service=imaps session=7 login failed ";
        assert!(line.starts_with(begin), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_door_is_told_when_it_closes_and_at_each_refusal() {
    let (log, _guard) = listen();
    let house = House::new().await;
    for _ in 0..7 {
        let _ = login(&house, HOME, ADA, "hunter2").await;
    }
    let lines = log.lines();
    let count = |text: &str| lines.iter().filter(|it| it.contains(text)).count();
    assert_eq!(lines.len(), 8, "{lines:?}");
    assert_eq!((count("login failed"), count("login throttled")), (5, 2));
    let closed = "WARN postrider::auth: peer=192.0.2.1:4711 too many failed logins why=\"account is locked\" user=ada@example.test";
    assert!(lines.iter().any(|it| it == closed), "{lines:?}");
    assert!(
        lines[7].ends_with(
            "by=throttle why=\"account is locked\" mechanism=PLAIN user=ada@example.test"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_begins_alike_in_json() {
    never_deaf();
    let buffer = Lines::default();
    let log = tracing_subscriber::registry().with(LogLayer::json(buffer.clone()));
    let _guard = tracing::subscriber::set_default(log);
    let house = House::new().await;
    let name = "x\",\"peer\":\"203.0.113.9:1\",\"message\":\"login failed";
    assert_eq!(login(&house, HOME, name, "hunter2").await, denied());
    let text = buffer.text();
    let begin = "\"target\":\"postrider::auth\",\"peer\":\"192.0.2.1:4711\",\"service\":\"imaps\",\"message\":\"login failed\",";
    assert!(text.contains(begin), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert_eq!(text.matches("\"message\":\"login failed\"").count(), 1);
}
