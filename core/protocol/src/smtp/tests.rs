//! The SMTP and LMTP sessions by property and by attack (RFC 5321, RFC 2033).

use std::sync::Arc;

use super::ask::{Answer, Ask, Delivered, RecipientAnswer, SenderAnswer};
use super::config::{Chunking, Config, Role};
use super::session::SmtpSession;
use super::transaction::State;
use crate::lmtp::LmtpSession;
use crate::sasl::{PlaintextLogin, RESPONSE_LIMIT, Verdict};
use crate::session::{
    Action, Input, Patience, Receive, ReceiveFault, Received, Session, SpoolStart,
};
use crate::tls::{Secrecy, Tls};

mod attack;
mod property;

type Actions = Vec<Action<Ask>>;

fn mx() -> Config {
    Config {
        hostname: "mx.test".into(),
        tls: Tls::Offered,
        ..Config::default()
    }
}

fn submission() -> Config {
    Config {
        role: Role::Submission,
        hostname: "mx.test".into(),
        tls: Tls::Required,
        ..Config::default()
    }
}

fn opened(config: Config) -> SmtpSession {
    let mut session = SmtpSession::new(Arc::new(config));
    assert_eq!(
        text(&session.on(Input::Open)),
        "220 mx.test ESMTP Postrider\r\n"
    );
    session
}

fn line(session: &mut impl Session<Ask = Ask, Answer = Answer>, line: &str) -> Actions {
    session.on(Input::Line(line.as_bytes()))
}

fn text(actions: &Actions) -> String {
    let written = actions.iter().filter_map(|action| match action {
        Action::Write(octets) => Some(String::from_utf8_lossy(octets).into_owned()),
        _ => None,
    });
    written.collect()
}

fn code(actions: &Actions) -> String {
    text(actions).chars().take(3).collect()
}

fn closes(actions: &Actions) -> bool {
    matches!(actions.last(), Some(Action::Close))
}

/// Replies in these actions; a line of an unfinished one and 334 and 354 do not count.
fn replies(actions: &Actions) -> usize {
    text(actions)
        .lines()
        .filter(|line| line.as_bytes().get(3) == Some(&b' ') && !line.starts_with('3'))
        .count()
}

fn sender(session: &mut SmtpSession, answer: SenderAnswer) -> Actions {
    let actions = line(session, "MAIL FROM:<bob@example.net>");
    assert!(
        matches!(actions.last(), Some(Action::Ask(Ask::Sender { .. }))),
        "{actions:?}"
    );
    session.on(Input::Answer(Answer::Sender(answer)))
}

fn recipient(session: &mut SmtpSession, answer: RecipientAnswer) -> Actions {
    let actions = line(session, "RCPT TO:<ada@example.test>");
    assert!(
        matches!(actions.last(), Some(Action::Ask(Ask::Recipient { .. }))),
        "{actions:?}"
    );
    session.on(Input::Answer(Answer::Recipient(answer)))
}

fn in_transaction(config: Config) -> SmtpSession {
    let mut session = opened(config);
    line(&mut session, "EHLO client.test");
    assert_eq!(code(&sender(&mut session, SenderAnswer::Accepted)), "250");
    assert_eq!(
        code(&recipient(&mut session, RecipientAnswer::Accepted)),
        "250"
    );
    session
}

fn good(octets: u64) -> Input<'static, Answer> {
    Input::Received(Received {
        octets,
        fault: None,
    })
}

fn bad(fault: ReceiveFault) -> Input<'static, Answer> {
    Input::Received(Received {
        octets: 0,
        fault: Some(fault),
    })
}

#[test]
fn the_envelope_says_what_was_agreed() {
    let mut session = in_transaction(mx());
    assert_eq!(
        code(&recipient(&mut session, RecipientAnswer::Unknown)),
        "550"
    );
    let actions = line(&mut session, "DATA");
    assert!(text(&actions).starts_with("354 "));
    assert!(
        matches!(actions.last(), Some(Action::Receive(Receive::Data { limit })) if *limit == mx().message_size)
    );
    let actions = session.on(good(10));
    let [Action::Ask(Ask::Deliver(envelope))] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(envelope.helo, "client.test");
    assert_eq!(envelope.with, "ESMTP");
    assert_eq!(envelope.forward_paths.len(), 1);
    let actions = session.on(Input::Answer(Answer::Delivered(vec![Delivered::Accepted])));
    assert_eq!(text(&actions), "250 2.0.0 message accepted\r\n");
    assert_eq!(session.state(), State::Ready);
}

#[test]
fn with_names_the_way_it_came() {
    let with = |tls, role, utf8: &str| {
        let mut session = opened(Config {
            tls,
            role,
            plaintext_login: PlaintextLogin::Allowed,
            ..mx()
        });
        line(&mut session, "EHLO client.test");
        if role == Role::Submission {
            line(&mut session, "AUTH PLAIN AGFkYQBw");
            let account = "ada@example.test".into();
            session.on(Input::Answer(Answer::Verdict(Verdict::Granted { account })));
        }
        line(&mut session, &format!("MAIL FROM:<>{utf8}"));
        session.on(Input::Answer(Answer::Sender(SenderAnswer::Accepted)));
        recipient(&mut session, RecipientAnswer::Accepted);
        line(&mut session, "DATA");
        match session.on(good(0)).pop() {
            Some(Action::Ask(Ask::Deliver(envelope))) => envelope.with,
            action => panic!("{action:?}"),
        }
    };
    assert_eq!(with(Tls::Absent, Role::Mx, ""), "ESMTP");
    assert_eq!(with(Tls::Implicit, Role::Mx, ""), "ESMTPS");
    assert_eq!(with(Tls::Implicit, Role::Submission, ""), "ESMTPSA");
    assert_eq!(with(Tls::Absent, Role::Submission, ""), "ESMTPA");
    assert_eq!(
        with(Tls::Implicit, Role::Submission, " SMTPUTF8"),
        "UTF8SMTPSA"
    );
    assert_eq!(with(Tls::Absent, Role::Mx, " SMTPUTF8"), "UTF8SMTP");
}

#[test]
fn outcomes_that_differ_or_are_missing_are_temporary() {
    for outcomes in [
        vec![Delivered::Accepted, Delivered::Full],
        vec![Delivered::Rejected, Delivered::Accepted],
        vec![Delivered::Accepted, Delivered::Unavailable],
        vec![Delivered::Accepted],
        vec![Delivered::Accepted; 3],
        vec![],
    ] {
        let mut session = in_transaction(mx());
        recipient(&mut session, RecipientAnswer::Accepted);
        line(&mut session, "DATA");
        session.on(good(0));
        let actions = session.on(Input::Answer(Answer::Delivered(outcomes)));
        assert_eq!(text(&actions), "451 4.3.0 try again later\r\n");
    }
}

#[test]
fn lmtp_owes_a_reply_to_each_recipient() {
    for (outcomes, codes) in [
        (vec![Delivered::Accepted, Delivered::Full], ["250", "452"]),
        (vec![Delivered::Accepted], ["250", "451"]),
        (vec![], ["451", "451"]),
        (vec![Delivered::Accepted; 3], ["250", "250"]),
    ] {
        let mut session = LmtpSession::new(Arc::new(mx()));
        session.on(Input::Open);
        line(&mut session, "LHLO client.test");
        line(&mut session, "MAIL FROM:<>");
        session.on(Input::Answer(Answer::Sender(SenderAnswer::Accepted)));
        for _ in 0..2 {
            line(&mut session, "RCPT TO:<ada@example.test>");
            session.on(Input::Answer(Answer::Recipient(RecipientAnswer::Accepted)));
        }
        line(&mut session, "DATA");
        session.on(good(0));
        let actions = session.on(Input::Answer(Answer::Delivered(outcomes)));
        let said: Vec<_> = text(&actions)
            .lines()
            .map(|line| line[..3].to_owned())
            .collect();
        assert_eq!(said, codes);
    }
}

#[test]
fn received_faults() {
    for (fault, reply) in [
        (ReceiveFault::TooLarge, "552 5.3.4 message too large\r\n"),
        (
            ReceiveFault::BareNewline,
            "550 5.6.11 bare CR or LF in the message\r\n",
        ),
        (ReceiveFault::Spool, "451 4.3.0 try again later\r\n"),
    ] {
        let mut session = in_transaction(mx());
        line(&mut session, "DATA");
        assert_eq!(text(&session.on(bad(fault))), reply);
        assert_eq!(session.state(), State::Ready);
        let mut session = in_transaction(mx());
        line(&mut session, "BDAT 10");
        assert_eq!(text(&session.on(bad(fault))), reply);
        assert_eq!(session.state(), State::Chunks);
        assert!(matches!(
            line(&mut session, "BDAT 10")[..],
            [Action::Receive(Receive::Discard { octets: 10 })]
        ));
    }
}

#[test]
fn passwords_are_not_looked_at_in_clear() {
    let mut session = opened(Config {
        tls: Tls::Offered,
        ..submission()
    });
    assert!(!text(&line(&mut session, "EHLO client.test")).contains("AUTH"));
    let actions = line(&mut session, "AUTH PLAIN AGFkYQBw");
    assert_eq!(
        text(&actions),
        "538 5.7.11 encryption required for this mechanism\r\n"
    );
}

#[test]
fn a_user_s_machine_may_have_any_name() {
    let mut session = opened(submission());
    assert_eq!(code(&line(&mut session, "EHLO 홍길동의 PC")), "250");
    assert_eq!(session.hello(), Some("?????PC"));
    line(&mut session, &format!("EHLO {}", "가".repeat(160)));
    assert!(session.hello().is_some_and(|name| name.len() <= 255));
}

#[test]
fn recipients_are_bounded() {
    let mut session = in_transaction(Config {
        recipients: 2,
        ..mx()
    });
    recipient(&mut session, RecipientAnswer::Accepted);
    let actions = line(&mut session, "RCPT TO:<ada@example.test>");
    assert_eq!(text(&actions), "452 4.5.3 too many recipients\r\n");
    assert!(text(&line(&mut session, "EHLO x.test")).contains("LIMITS RCPTMAX=2"));
}

#[test]
fn chatter_becomes_errors() {
    let mut session = opened(Config {
        chatter: 5,
        errors: 3,
        ..mx()
    });
    let mut said = 0;
    loop {
        let actions = line(&mut session, "NOOP");
        assert_eq!(replies(&actions), 1);
        if closes(&actions) {
            break;
        }
        said += 1;
    }
    assert_eq!(said, 7);
}

#[test]
fn a_delivered_message_makes_errors_good() {
    let mut session = in_transaction(Config { errors: 3, ..mx() });
    for _ in 0..5 {
        line(&mut session, "BOGUS");
        line(&mut session, "BOGUS");
        line(&mut session, "DATA");
        session.on(good(0));
        session.on(Input::Answer(Answer::Delivered(vec![Delivered::Accepted])));
        assert_eq!(code(&sender(&mut session, SenderAnswer::Accepted)), "250");
        assert_eq!(
            code(&recipient(&mut session, RecipientAnswer::Accepted)),
            "250"
        );
    }
}

#[test]
fn what_ends_a_session_from_outside() {
    for (input, reply) in [
        (
            Input::Drain,
            "421 4.3.2 mx.test going down, try again later\r\n",
        ),
        (
            Input::TimedOut,
            "421 4.4.2 mx.test idle for too long, closing\r\n",
        ),
        (
            Input::Revoked,
            "421 4.7.0 mx.test login is no longer valid, closing\r\n",
        ),
    ] {
        let mut session = in_transaction(mx());
        let actions = session.on(input);
        assert_eq!(text(&actions), reply);
        assert!(closes(&actions) && session.is_over());
    }
}

#[test]
fn an_answer_nobody_asked_for_is_our_bug() {
    for answer in [
        Answer::Sender(SenderAnswer::Accepted),
        Answer::Recipient(RecipientAnswer::Accepted),
        Answer::Delivered(vec![Delivered::Accepted]),
        Answer::Verdict(Verdict::Granted {
            account: "x".into(),
        }),
    ] {
        let mut session = in_transaction(submission_in_clear());
        let actions = session.on(Input::Answer(answer));
        assert_eq!(
            text(&actions),
            "421 4.3.0 mx.test internal error, closing\r\n"
        );
        assert!(closes(&actions));
    }
}

fn submission_in_clear() -> Config {
    Config {
        role: Role::Mx,
        plaintext_login: PlaintextLogin::Allowed,
        ..mx()
    }
}

#[test]
fn line_limits_follow_what_may_come() {
    let mut session = opened(Config {
        tls: Tls::Implicit,
        ..submission()
    });
    assert_eq!(session.line_limit(), RESPONSE_LIMIT);
    assert_eq!(session.patience(), Patience::BeforeLogin);
    line(&mut session, "EHLO client.test");
    line(&mut session, "AUTH LOGIN");
    assert_eq!(session.line_limit(), RESPONSE_LIMIT);
    assert_eq!(
        text(&session.on(Input::LineTooLong)),
        "500 5.5.6 response too long\r\n"
    );
    line(&mut session, "AUTH PLAIN AGFkYQBw");
    session.on(Input::Answer(Answer::Verdict(Verdict::Granted {
        account: "ada".into(),
    })));
    assert!(session.line_limit() < 2_000);
    assert_eq!(session.patience(), Patience::Command);
    assert!(opened(mx()).line_limit() < 2_000);
}
