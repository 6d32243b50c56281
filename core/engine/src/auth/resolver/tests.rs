//! The chain: order, silence, panics, crowds.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::super::testing::{MINUTE, SECOND, peer, secret};
use super::*;

/// Answers as told, and counts being asked.
struct Told {
    name: &'static str,
    answer: Behaviour,
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

enum Behaviour {
    Says(Answer),
    Hangs,
    Panics,
    Takes(Duration),
}

impl Told {
    fn new(name: &'static str, answer: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            name,
            answer,
            asked: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Resolver for Told {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn authenticate(&self, _: Request<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match &self.answer {
            Behaviour::Says(answer) => answer.clone(),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Panics => panic!("planted"),
            Behaviour::Takes(time) => {
                let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(*time).await;
                self.at_once.fetch_sub(1, Ordering::SeqCst);
                Answer::Granted
            }
        }
    }
}

async fn ask(chain: &Chain) -> Heard {
    ask_within(chain, MINUTE).await
}

async fn ask_within(chain: &Chain, time: Duration) -> Heard {
    chain
        .ask(Request {
            user: "ada@example.test",
            account: None,
            password: &secret("secret"),
            peer: &peer("192.0.2.1"),
            protocol: "imap",
            deadline: Instant::now() + time,
            in_doubt: false,
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn local_follows_whatever_comes_before_but_yes() {
    for (behaviour, takes) in [
        (Behaviour::Says(Answer::Denied("no".into())), Duration::ZERO),
        (
            Behaviour::Says(Answer::Unknown("who".into())),
            Duration::ZERO,
        ),
        (
            Behaviour::Says(Answer::Unavailable("down".into())),
            Duration::ZERO,
        ),
        (Behaviour::Panics, Duration::ZERO),
        (Behaviour::Hangs, PATIENCE),
    ] {
        let first = Told::new("ldap", behaviour);
        let local = Told::new("local", Behaviour::Says(Answer::Granted));
        let began = Instant::now();
        let heard = ask(&Chain::new(vec![first.clone()], local.clone())).await;
        assert_eq!(began.elapsed(), takes, "{:?}", heard.said);
        assert_eq!((first.asked(), local.asked()), (1, 1));
        let granted = heard.granted.expect("local says yes");
        assert_eq!((granted.by, granted.is_last), ("local", true));
        assert_eq!(granted.caching, Caching::Forbidden);
        assert_eq!(heard.said.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_yes_ends_it() {
    let first = Told::new("ldap", Behaviour::Says(Answer::Granted));
    let local = Told::new("local", Behaviour::Says(Answer::Denied("no".into())));
    let heard = ask(&Chain::new(vec![first], local.clone())).await;
    assert_eq!(
        heard.granted.map(|it| (it.by, it.is_last)),
        Some(("ldap", false))
    );
    assert_eq!(local.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_that_hang_still_leave_time_for_local() {
    let hangs = || Told::new("ldap", Behaviour::Hangs) as Arc<dyn Resolver>;
    let local = Told::new("local", Behaviour::Takes(SECOND));
    let chain = Chain::new(vec![hangs(), hangs(), hangs()], local);
    let began = Instant::now();
    let heard = ask(&chain).await;
    assert_eq!(heard.granted.map(|it| it.by), Some("local"));
    assert!(heard.in_doubt() && !heard.guessed());
    assert_eq!(began.elapsed(), 3 * PATIENCE + SECOND);
}

#[tokio::test(start_paused = true)]
async fn with_little_time_the_last_one_still_gets_half() {
    let local = Told::new("local", Behaviour::Takes(SECOND));
    let chain = Chain::new(vec![Told::new("ldap", Behaviour::Hangs)], local);
    let heard = ask_within(&chain, 3 * SECOND).await;
    assert_eq!(heard.granted.map(|it| it.by), Some("local"));
}

#[tokio::test(start_paused = true)]
async fn a_last_one_that_hangs_cannot_tell() {
    let chain = Chain::new(Vec::new(), Told::new("local", Behaviour::Hangs));
    let heard = ask(&chain).await;
    assert!(heard.granted.is_none() && heard.in_doubt());
    let said = [("local", Answer::Unavailable("no answer in time".into()))];
    assert_eq!(heard.said, said);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_works_on_a_bounded_number_at_a_time() {
    let local = Told::new("local", Behaviour::Takes(SECOND));
    let chain = Chain::new(Vec::new(), local.clone());
    let heard = join_all((0..3 * PLACES).map(|_| ask(&chain))).await;
    assert!(heard.iter().all(|it| it.granted.is_some()));
    assert_eq!(local.most.load(Ordering::SeqCst), PLACES);
}

/// Says whether somebody before it could not tell.
struct Listens;

#[async_trait::async_trait]
impl Resolver for Listens {
    fn name(&self) -> &'static str {
        "listens"
    }

    async fn authenticate(&self, request: Request<'_>) -> Answer {
        match request.in_doubt {
            true => Answer::Unknown("in doubt".into()),
            false => Answer::Unknown("no doubt".into()),
        }
    }
}

#[tokio::test]
async fn who_comes_after_is_told_of_doubt() {
    let unknown = |why: &'static str| Answer::Unknown(why.into());
    for (first, heard) in [
        (Answer::Unavailable("down".into()), unknown("in doubt")),
        (Answer::Denied("no".into()), unknown("no doubt")),
        (unknown("who"), unknown("no doubt")),
    ] {
        let first = Told::new("ldap", Behaviour::Says(first));
        let chain = Chain::new(vec![first], Arc::new(Listens));
        assert_eq!(ask(&chain).await.said[1].1, heard);
    }
}
