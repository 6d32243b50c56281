//! The SMTP session by property (RFC 5321): whatever comes in, in whatever order.

use std::sync::Arc;

use proptest::prelude::*;

use super::{mx, opened, replies, submission, text};
use crate::sasl::Verdict;
use crate::session::{Action, Input, ReceiveFault, Received, Session};
use crate::smtp::ask::{Answer, Ask, Delivered, RecipientAnswer, SenderAnswer};
use crate::smtp::config::{Config, Role};
use crate::smtp::session::SmtpSession;
use crate::tls::Tls;

/// A verb of the table or not, with arguments that are nearly right.
fn some_line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "EHLO x",
        "HELO x",
        "LHLO x",
        "MAIL FROM:<a@b.test>",
        "MAIL FROM:<>",
        "RCPT TO:<a@b.test>",
        "RCPT TO:<\"",
        "DATA",
        "BDAT 3",
        "BDAT 3 LAST",
        "BDAT x",
        "RSET",
        "NOOP",
        "VRFY x",
        "EXPN x",
        "HELP",
        "STARTTLS",
        "AUTH PLAIN",
        "AUTH PLAIN AGFkYQBw",
        "AUTH LOGIN",
        "*",
        "AGFkYQBw",
        "QUIT",
        "GET /",
    ]);
    prop_oneof![
        8 => known.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

fn some_answer() -> impl Strategy<Value = usize> {
    0..6_usize
}

/// An answer that fits the ask.
fn answer(ask: &Ask, choice: usize) -> Answer {
    match ask {
        Ask::Authenticate(_) => Answer::Verdict(match choice {
            0 => Verdict::Denied,
            1 => Verdict::Throttled,
            2 => Verdict::Unavailable,
            _ => Verdict::Granted {
                account: "ada@b.test".into(),
            },
        }),
        Ask::Sender { .. } => Answer::Sender(match choice {
            0 => SenderAnswer::NotYours,
            1 => SenderAnswer::Unavailable,
            _ => SenderAnswer::Accepted,
        }),
        Ask::Recipient { .. } => Answer::Recipient(match choice {
            0 => RecipientAnswer::Full,
            1 => RecipientAnswer::Unavailable,
            2 => RecipientAnswer::Unknown,
            _ => RecipientAnswer::Accepted,
        }),
        Ask::Deliver(envelope) => {
            assert!(!envelope.forward_paths.is_empty(), "a message for nobody");
            Answer::Delivered(match choice {
                0 => vec![],
                1 => vec![Delivered::Unavailable; envelope.forward_paths.len()],
                _ => vec![Delivered::Accepted; envelope.forward_paths.len()],
            })
        }
    }
}

/// Feeds a line, and everything that follows from it. Gives the replies, and whether it ended in a challenge.
fn converse(session: &mut SmtpSession, said: &[u8], choice: usize) -> (usize, bool) {
    let mut actions = session.on(Input::Line(said));
    let mut heard = 0;
    loop {
        heard += replies(&actions);
        let challenged = text(&actions).starts_with("334 ");
        let next = match actions.pop() {
            Some(Action::Ask(ask)) => Input::Answer(answer(&ask, choice)),
            Some(Action::Receive(_)) => Input::Received(Received {
                octets: 3,
                fault: (choice == 0).then_some(ReceiveFault::TooLarge),
            }),
            Some(Action::StartTls) => Input::Secured,
            Some(Action::Close | Action::Write(_)) | None => return (heard, challenged),
            action => panic!("{action:?}"),
        };
        actions = session.on(next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Invariant 1, and no input panics.
    #[test]
    fn one_reply_per_command(
        said in prop::collection::vec((some_line(), some_answer()), 1..40),
        login in any::<bool>(),
        tls in prop::sample::select(vec![Tls::Absent, Tls::Offered, Tls::Required, Tls::Implicit]),
    ) {
        let role = if login { Role::Submission } else { Role::Mx };
        let mut session = opened(Config { role, tls, message_size: 7, ..mx() });
        for (line, choice) in said {
            if session.is_over() {
                prop_assert!(session.on(Input::Line(&line)).is_empty());
                break;
            }
            let (heard, challenged) = converse(&mut session, &line, choice);
            prop_assert_eq!(heard, usize::from(!challenged), "{:?}", String::from_utf8_lossy(&line));
        }
    }

    /// Whatever the connection and the engine do, in whatever order.
    #[test]
    fn no_order_of_inputs_panics(inputs in prop::collection::vec((0..14_u8, some_line()), 0..60)) {
        let mut session = SmtpSession::new(Arc::new(Config { tls: Tls::Implicit, ..submission() }));
        for (kind, line) in &inputs {
            let actions = session.on(match kind {
                0 => Input::Open,
                1 => Input::LineTooLong,
                2 => Input::BareNewline,
                3 => Input::Literal(line),
                4 => Input::Received(Received { octets: 0, fault: None }),
                5 => Input::Answer(Answer::Verdict(Verdict::Granted { account: "a".into() })),
                6 => Input::Answer(Answer::Sender(SenderAnswer::Accepted)),
                7 => Input::Answer(Answer::Recipient(RecipientAnswer::Accepted)),
                8 => Input::Answer(Answer::Delivered(vec![])),
                9 => Input::Secured,
                10 => Input::Resume,
                11 => Input::Changed,
                _ => Input::Line(line),
            });
            for action in actions.iter().rev().skip(1) {
                prop_assert!(matches!(action, Action::Write(_)), "{:?}", actions);
            }
            prop_assert!(session.line_limit() >= 510);
        }
    }
}
