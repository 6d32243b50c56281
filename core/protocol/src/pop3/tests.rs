//! The POP3 session by property and by attack (RFC 1939).

use std::sync::Arc;

use proptest::prelude::*;

use super::ask::{Answer, Ask, BodyAnswer, Listed, Opened, Removed};
use super::config::{Config, Expire};
use super::session::{Pop3Session, State};
use crate::imap::types::{Uid, UidValidity};
use crate::sasl::{PlaintextLogin, RESPONSE_LIMIT, Verdict};
use crate::session::{Action, BATCH, Framing, Input, Patience, Session};
use crate::tls::{Secrecy, Tls};

type Actions = Vec<Action<Ask>>;

fn config() -> Config {
    Config {
        hostname: "pop.test".into(),
        tls: Tls::Implicit,
        ..Config::default()
    }
}

fn opened(config: Config) -> Pop3Session {
    let mut session = Pop3Session::new(Arc::new(config));
    assert_eq!(
        text(&session.on(Input::Open)),
        "+OK pop.test POP3 Postrider\r\n"
    );
    session
}

fn line(session: &mut Pop3Session, line: &str) -> Actions {
    session.on(Input::Line(line.as_bytes()))
}

fn text(actions: &Actions) -> String {
    let written = actions.iter().filter_map(|action| match action {
        Action::Write(octets) => Some(String::from_utf8_lossy(octets).into_owned()),
        _ => None,
    });
    written.collect()
}

fn closes(actions: &Actions) -> bool {
    matches!(actions.last(), Some(Action::Close))
}

fn granted() -> Input<'static, Answer> {
    let account = "ada@example.test".to_owned();
    Input::Answer(Answer::Verdict(Verdict::Granted { account }))
}

fn maildrop(count: u32) -> Input<'static, Answer> {
    let messages = (1..=count).map(|uid| Listed {
        uid: Uid(uid * 10),
        octets: 100,
    });
    Input::Answer(Answer::Opened(Opened::Maildrop {
        messages: messages.collect(),
        uid_validity: UidValidity(7),
        unique_ids: [(Uid(20), "from.elsewhere".to_owned())].into(),
        expire: Expire::Days(7),
    }))
}

fn in_transaction(count: u32) -> Pop3Session {
    let mut session = opened(config());
    let actions = line(&mut session, "AUTH PLAIN AGFkYQBw");
    assert!(matches!(actions[..], [Action::Ask(Ask::Authenticate(_))]));
    assert!(matches!(
        session.on(granted())[..],
        [Action::Ask(Ask::Open)]
    ));
    assert!(text(&session.on(maildrop(count))).starts_with(&format!("+OK {count} ")));
    assert_eq!(session.state(), State::Transaction);
    session
}

#[test]
fn quit_removes_what_is_marked_and_nothing_else_does() {
    let mut session = in_transaction(3);
    line(&mut session, "DELE 3");
    line(&mut session, "DELE 1");
    let actions = line(&mut session, "QUIT");
    let [Action::Ask(Ask::Remove { uids })] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(uids, &[Uid(10), Uid(30)]);
    assert_eq!(session.state(), State::Update);
    let actions = session.on(Input::Answer(Answer::Removed(Removed::Removed)));
    assert_eq!(text(&actions), "+OK bye\r\n");
    assert!(closes(&actions));
    for (input, said) in [
        (Input::TimedOut, ""),
        (
            Input::Drain,
            "-ERR [SYS/TEMP] going down, try again later\r\n",
        ),
        (
            Input::Revoked,
            "-ERR [AUTH] login is no longer valid, closing\r\n",
        ),
    ] {
        let mut session = in_transaction(3);
        line(&mut session, "DELE 1");
        let actions = session.on(input);
        assert_eq!(text(&actions), said);
        assert!(closes(&actions) && session.is_over());
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Ask(_)))
        );
    }
}

#[test]
fn too_many_errors_remove_nothing() {
    let mut session = in_transaction(2);
    line(&mut session, "DELE 1");
    for _ in 0..config().errors {
        let actions = line(&mut session, "BOGUS");
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Ask(_)))
        );
    }
    assert!(session.is_over());
    assert!(line(&mut session, "QUIT").is_empty());
}

#[test]
fn a_body_is_sent_as_the_engine_opened_it() {
    let mut session = in_transaction(2);
    for (command, body_lines) in [("RETR 2", None), ("TOP 2 5", Some(5))] {
        let actions = line(&mut session, command);
        assert!(matches!(
            actions[..],
            [Action::Ask(Ask::Body { uid: Uid(20) })]
        ));
        let actions = session.on(Input::Answer(Answer::Body(BodyAnswer::Ready {
            octets: 100,
        })));
        let framing = Framing::DotStuffed { body_lines };
        assert!(
            matches!(actions[..], [Action::Write(_), Action::Send { offset: 0, octets: 100, framing: f }] if f == framing)
        );
        assert!(text(&actions).starts_with("+OK"));
    }
}

#[test]
fn long_listings_come_in_batches_and_whole() {
    const COUNT: u32 = 20_000;
    let mut session = in_transaction(COUNT);
    line(&mut session, "DELE 2");
    for command in ["LIST", "UIDL"] {
        let mut actions = line(&mut session, command);
        let (mut said, mut batches) = (String::new(), 1);
        while let Some(Action::Resume) = actions.last() {
            assert!(text(&actions).len() < BATCH + 100);
            said += &text(&actions);
            actions = session.on(Input::Resume);
            batches += 1;
        }
        said += &text(&actions);
        assert!(batches > 2);
        assert_eq!(said.lines().count(), COUNT as usize + 1);
        assert!(
            said.starts_with("+OK\r\n1 ") && said.contains("\r\n3 ") && !said.contains("\r\n2 ")
        );
        assert!(said.ends_with("\r\n.\r\n"));
    }
}

#[test]
fn unique_ids_are_of_the_form_that_the_rfc_wants_and_differ() {
    let mut session = in_transaction(300);
    let said = text(&line(&mut session, "UIDL"));
    let ids: std::collections::BTreeSet<_> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, id)| id.to_owned())
        .collect();
    assert_eq!(ids.len(), 300);
    assert!(said.contains("\r\n2 from.elsewhere\r\n"), "{said}");
    let one = text(&line(&mut session, "UIDL 2"));
    assert_eq!(one, "+OK 2 from.elsewhere\r\n");
    assert!(
        ids.iter()
            .all(|id| (1..=70).contains(&id.len())
                && id.bytes().all(|octet| octet.is_ascii_graphic()))
    );
}

#[test]
fn attack_15_stls_forgets_everything() {
    let mut session = opened(Config {
        tls: Tls::Offered,
        plaintext_login: PlaintextLogin::Allowed,
        ..config()
    });
    assert!(text(&line(&mut session, "USER ada@example.test")).starts_with("+OK"));
    let actions = line(&mut session, "STLS");
    assert!(matches!(actions[..], [Action::Write(_), Action::StartTls]));
    assert!(session.on(Input::Secured).is_empty());
    assert_eq!(session.secrecy(), Secrecy::Tls);
    assert_eq!(
        text(&line(&mut session, "PASS secret")),
        "-ERR USER first\r\n"
    );
    assert!(!text(&line(&mut session, "CAPA")).contains("STLS"));
}

#[test]
fn attack_15_text_in_the_place_of_the_handshake_is_not_answered() {
    let mut session = opened(Config {
        tls: Tls::Offered,
        ..config()
    });
    line(&mut session, "STLS");
    let actions = line(&mut session, "CAPA");
    assert!(matches!(actions[..], [Action::Close]));
    assert!(session.is_over());
}

#[test]
fn expire_says_how_long_mail_stays() {
    let capa = |expire| {
        let mut session = opened(Config { expire, ..config() });
        let before = text(&line(&mut session, "CAPA"));
        line(&mut session, "AUTH PLAIN AGFkYQBw");
        session.on(granted());
        session.on(maildrop(0));
        let after = text(&line(&mut session, "CAPA"));
        let of = |text: String| {
            text.lines()
                .find(|line| line.starts_with("EXPIRE"))
                .map(str::to_owned)
        };
        (of(before).expect("a line"), of(after).expect("a line"))
    };
    for (before, said) in [
        (Expire::Never, "EXPIRE NEVER"),
        (Expire::Days(7), "EXPIRE 7"),
        (Expire::DaysAtLeast(1), "EXPIRE 1 USER"),
    ] {
        // Who logs in hears what is so for its own mail.
        assert_eq!(capa(before), (said.to_owned(), "EXPIRE 7".to_owned()));
    }
}

#[test]
fn an_answer_nobody_asked_for_is_our_bug() {
    let mut session = in_transaction(1);
    let actions = session.on(Input::Answer(Answer::Removed(Removed::Removed)));
    assert_eq!(
        text(&actions),
        "-ERR [SYS/TEMP] internal error, closing\r\n"
    );
    assert!(closes(&actions));
}

#[test]
fn limits_and_patience() {
    let mut session = opened(config());
    assert_eq!(
        (session.line_limit(), session.patience()),
        (RESPONSE_LIMIT, Patience::BeforeLogin)
    );
    line(&mut session, "AUTH PLAIN AGFkYQBw");
    session.on(granted());
    session.on(maildrop(0));
    assert_eq!(
        (session.line_limit(), session.patience()),
        (253, Patience::Command)
    );
    assert_eq!(
        opened(Config {
            tls: Tls::Required,
            ..config()
        })
        .line_limit(),
        253
    );
}

fn some_line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "USER ada",
        "PASS p",
        "AUTH PLAIN",
        "AUTH PLAIN AGFkYQBw",
        "AUTH LOGIN",
        "AUTH",
        "*",
        "AGFkYQBw",
        "APOP a b",
        "STLS",
        "CAPA",
        "STAT",
        "LIST",
        "LIST 1",
        "LIST 4",
        "RETR 1",
        "DELE 1",
        "DELE 2",
        "NOOP",
        "RSET",
        "TOP 1 1",
        "UIDL",
        "UIDL 2",
        "QUIT",
        "UTF8",
        "LANG",
        "LANG en",
    ]);
    prop_oneof![
        8 => known.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

/// An answer that fits the ask.
fn answer(ask: &Ask, choice: u8) -> Answer {
    match ask {
        Ask::Authenticate(_) => Answer::Verdict(match choice {
            0 => Verdict::Denied,
            1 => Verdict::Throttled,
            2 => Verdict::Unavailable,
            _ => Verdict::Granted {
                account: "ada".into(),
            },
        }),
        Ask::Open => match choice {
            3 => Answer::Opened(Opened::InUse),
            4 => Answer::Opened(Opened::Unavailable),
            _ => Answer::Opened(Opened::Maildrop {
                messages: vec![
                    Listed {
                        uid: Uid(1),
                        octets: 9,
                    },
                    Listed {
                        uid: Uid(5),
                        octets: 0,
                    },
                ],
                uid_validity: UidValidity(1),
                unique_ids: Default::default(),
                expire: Expire::Never,
            }),
        },
        Ask::Body { .. } => Answer::Body(match choice {
            0 => BodyAnswer::Gone,
            1 => BodyAnswer::Unavailable,
            _ => BodyAnswer::Ready { octets: 9 },
        }),
        Ask::Remove { uids } => {
            assert!(!uids.is_empty() && uids.is_sorted());
            Answer::Removed(if choice == 0 {
                Removed::Unavailable
            } else {
                Removed::Removed
            })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Invariant 1, and no input panics.
    #[test]
    fn one_response_per_command(
        said in prop::collection::vec((some_line(), 0..6_u8), 1..40),
        tls in prop::sample::select(vec![Tls::Absent, Tls::Offered, Tls::Required, Tls::Implicit]),
        plaintext in any::<bool>(),
    ) {
        let plaintext_login = if plaintext { PlaintextLogin::Allowed } else { PlaintextLogin::Refused };
        let mut session = opened(Config { tls, plaintext_login, ..config() });
        for (said, choice) in said {
            if session.is_over() {
                prop_assert!(session.on(Input::Line(&said)).is_empty());
                break;
            }
            let mut actions = session.on(Input::Line(&said));
            let mut heard = String::new();
            loop {
                heard += &text(&actions);
                let next = match actions.pop() {
                    Some(Action::Ask(ask)) => Input::Answer(answer(&ask, choice)),
                    Some(Action::StartTls) => Input::Secured,
                    Some(Action::Resume) => Input::Resume,
                    _ => break,
                };
                actions = session.on(next);
            }
            let status = heard.lines().filter(|line| line.starts_with("+OK") || line.starts_with("-ERR")).count();
            let challenge = heard.lines().filter(|line| line.starts_with("+ ")).count();
            prop_assert_eq!(status + challenge, 1, "{:?} {:?}", String::from_utf8_lossy(&said), heard);
        }
    }

    /// Whatever the connection and the engine do, in whatever order.
    #[test]
    fn no_order_of_inputs_panics(inputs in prop::collection::vec((0..14_u8, some_line()), 0..60)) {
        let mut session = Pop3Session::new(Arc::new(config()));
        for (kind, line) in &inputs {
            let actions = session.on(match kind {
                0 => Input::Open,
                1 => Input::LineTooLong,
                2 => Input::BareNewline,
                3 => Input::Literal(line),
                4 => granted(),
                5 => maildrop(3),
                6 => Input::Answer(Answer::Body(BodyAnswer::Ready { octets: 1 })),
                7 => Input::Answer(Answer::Removed(Removed::Removed)),
                8 => Input::Secured,
                9 => Input::Resume,
                10 => Input::Changed,
                _ => Input::Line(line),
            });
            for action in actions.iter().rev().skip(1) {
                prop_assert!(matches!(action, Action::Write(_)), "{:?}", actions);
            }
            prop_assert!(session.line_limit() >= 253);
        }
    }
}
