//! Every bound that a session keeps: what the peer hears when it meets it, and the name under which it is counted.
//!
//! The numbers are small ones, set for the test, so that it is the configuration that decides and not a constant.

use std::sync::Arc;

use postrider_protocol::imap::ask as imap_ask;
use postrider_protocol::imap::session::{self as imap, ImapSession, Limits};
use postrider_protocol::imap::syntax::args::Bounds;
use postrider_protocol::limit::Limit;
use postrider_protocol::pop3::{self, Pop3Session};
use postrider_protocol::sasl::{PlaintextLogin, Verdict};
use postrider_protocol::session::{Action, Input, ReceiveFault, Received, Session};
use postrider_protocol::smtp::{self, SmtpSession, ask as smtp_ask};
use postrider_protocol::tls::Tls;

fn said<K>(actions: &[Action<K>]) -> String {
    let text = |action: &Action<K>| match action {
        Action::Write(octets) => String::from_utf8_lossy(octets).into_owned(),
        _ => String::new(),
    };
    actions.iter().map(text).collect()
}

fn closes<K>(actions: &[Action<K>]) -> bool {
    matches!(actions.last(), Some(Action::Close))
}

/// An IMAP session with small bounds.
fn imap() -> ImapSession {
    let mut session = ImapSession::new(imap::Config {
        hostname: "a.test".into(),
        tls: Tls::Implicit,
        plaintext_login: PlaintextLogin::Refused,
        limits: Limits {
            command_before_login: 60,
            command: 300,
            message: 100,
            errors_before_login: 2,
            errors: 4,
            login_failures: 2,
            syntax: Bounds {
                nesting: 3,
                elements: 4,
                search_keys: 5,
            },
            ..Limits::default()
        },
    });
    session.on(Input::Open);
    session
}

fn logged_in() -> ImapSession {
    let mut session = imap();
    session.on(Input::Line(b"l LOGIN ada secret"));
    let account = "ada@example.test".to_owned();
    session.on(Input::Answer(imap_ask::Answer::Verdict(Verdict::Granted {
        account,
    })));
    assert_eq!(session.reached(), None);
    session
}

/// Plays lines to a session; what it says to the last, and what was reached.
fn last<S: Session>(session: &mut S, lines: &[&str]) -> (String, bool, Option<Limit>) {
    let mut end = (String::new(), false, None);
    for line in lines {
        let actions = session.on(Input::Line(line.as_bytes()));
        end = (said(&actions), closes(&actions), session.reached());
        assert_eq!(session.reached(), None, "told twice");
    }
    end
}

#[test]
fn attack_01_an_imap_command_is_bounded_before_and_after_login() {
    for (mut session, fits, too_long) in [(imap(), 20, 60), (logged_in(), 250, 300)] {
        let (text, closed, reached) = last(&mut session, &[&format!("a LOGIN {{{fits}}}")]);
        assert_eq!((text.as_str(), closed, reached), ("+ OK\r\n", false, None));
        session.on(Input::Literal(&vec![b'x'; fits]));
        // Each literal alone would fit.
        let (text, closed, reached) = last(&mut session, &[&format!(" {{{too_long}}}")]);
        assert_eq!(text, "a BAD [TOOBIG] command too long\r\n");
        assert_eq!((closed, reached), (false, Some(Limit::Command)));
    }
}

#[test]
fn attack_02_a_literal_of_any_length_holds_nothing() {
    for octets in [
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        // Who waits for our leave is refused.
        let (text, closed, reached) = last(&mut imap(), &[&format!("a LOGIN {{{octets}}}")]);
        assert_eq!(text, "a BAD [TOOBIG] command too long\r\n");
        assert_eq!((closed, reached), (false, Some(Limit::Command)));
        // Who does not is shown the door: nobody reads that much to throw it away.
        for mut session in [imap(), logged_in()] {
            let (text, closed, reached) = last(&mut session, &[&format!("a LOGIN {{{octets}+}}")]);
            assert_eq!(text, "* BYE literal too large\r\n");
            assert_eq!((closed, reached), (true, Some(Limit::Literal)));
        }
        let append = format!("a APPEND INBOX {{{octets}+}}");
        let (text, closed, reached) = last(&mut logged_in(), &[&append]);
        assert_eq!(text, "* BYE literal too large\r\n");
        assert_eq!((closed, reached), (true, Some(Limit::Literal)));
    }
    // Before login there is no APPEND, so its literal is one like all others.
    let (text, _, reached) = last(&mut imap(), &["a APPEND INBOX {90}"]);
    assert_eq!(text, "a BAD [TOOBIG] command too long\r\n");
    assert_eq!(reached, Some(Limit::Command));
}

#[test]
fn attack_03_nesting_lists_and_keys_are_bounded() {
    for (command, text, limit) in [
        ("SEARCH ((((SEEN))))", "fewer nested levels", Limit::Nesting),
        (
            "SEARCH NOT NOT NOT NOT SEEN",
            "fewer nested levels",
            Limit::Nesting,
        ),
        (
            "SEARCH 1,2,3,4,5",
            "a set of fewer elements",
            Limit::Elements,
        ),
        (
            "SEARCH SEEN SEEN SEEN SEEN SEEN SEEN",
            "fewer search keys",
            Limit::SearchKeys,
        ),
    ] {
        let mut session = logged_in();
        session.on(Input::Line(b"s SELECT INBOX"));
        // Whether a mailbox is open or not, the grammar comes first or the state does: never more than one answer.
        let (answer, closed, reached) = last(&mut session, &[&format!("a {command}")]);
        assert!(!closed);
        if reached.is_some() {
            assert_eq!(answer, format!("a BAD expected {text}\r\n"), "{command}");
            assert_eq!(reached, Some(limit), "{command}");
        }
    }
    // In every state.
    let (answer, _, reached) = last(
        &mut logged_in(),
        &["a STATUS INBOX (UIDNEXT UIDNEXT UIDNEXT UIDNEXT UIDNEXT)"],
    );
    assert_eq!(answer, "a BAD expected a list of fewer elements\r\n");
    assert_eq!(reached, Some(Limit::Elements));
    // Before login a megabyte of parentheses is one unknown argument, and not even looked at.
    let (answer, _, reached) = last(&mut imap(), &[&format!("a SEARCH {}", "(".repeat(40))]);
    assert_eq!(answer, "a BAD SEARCH is not valid now\r\n");
    assert_eq!(reached, None);
}

#[test]
fn errors_close_the_door() {
    let (text, closed, reached) = last(&mut imap(), &["a X", "b X"]);
    assert_eq!(text, "b BAD unknown command\r\n* BYE too many errors\r\n");
    assert_eq!((closed, reached), (true, Some(Limit::Errors)));
    let (_, closed, reached) = last(&mut logged_in(), &["a X", "b X", "c X"]);
    assert_eq!((closed, reached), (false, None));
    let (_, closed, reached) = last(&mut logged_in(), &["a X", "b X", "c X", "d X"]);
    assert_eq!((closed, reached), (true, Some(Limit::Errors)));

    let mut session = imap();
    let mut end = (String::new(), false, None);
    for tag in ["a", "b"] {
        session.on(Input::Line(format!("{tag} LOGIN ada secret").as_bytes()));
        let actions = session.on(Input::Answer(imap_ask::Answer::Verdict(Verdict::Denied)));
        end = (said(&actions), closes(&actions), session.reached());
    }
    assert!(
        end.0.ends_with("* BYE too many failed logins\r\n"),
        "{}",
        end.0
    );
    assert_eq!((end.1, end.2), (true, Some(Limit::LoginFailures)));
}

fn smtp() -> SmtpSession {
    let mut session = SmtpSession::new(Arc::new(smtp::Config {
        message_size: 100,
        recipients: 2,
        errors: 3,
        chatter: 2,
        ..smtp::Config::default()
    }));
    session.on(Input::Open);
    session.on(Input::Line(b"EHLO a"));
    session
}

#[test]
fn smtp_bounds() {
    let mut session = smtp();
    let (text, _, reached) = last(&mut session, &["MAIL FROM:<a@b.test> SIZE=101"]);
    assert_eq!(text, "552 5.3.4 message too large\r\n");
    assert_eq!(reached, Some(Limit::MessageSize));
    session.on(Input::Line(b"MAIL FROM:<a@b.test>"));
    session.on(Input::Answer(smtp_ask::Answer::Sender(
        smtp_ask::SenderAnswer::Accepted,
    )));
    for recipient in ["RCPT TO:<c@d.test>", "RCPT TO:<e@d.test>"] {
        session.on(Input::Line(recipient.as_bytes()));
        let yes = smtp_ask::RecipientAnswer::Accepted;
        session.on(Input::Answer(smtp_ask::Answer::Recipient(yes)));
    }
    let (text, _, reached) = last(&mut session, &["RCPT TO:<f@d.test>"]);
    assert_eq!(text, "452 4.5.3 too many recipients\r\n");
    assert_eq!(reached, Some(Limit::Recipients));
    // Those that fitted get the message (RFC 5321 section 4.5.3.1.10), if it does.
    session.on(Input::Line(b"DATA"));
    let received = Received {
        octets: 100,
        fault: Some(ReceiveFault::TooLarge),
    };
    let actions = session.on(Input::Received(received));
    assert_eq!(said(&actions), "552 5.3.4 message too large\r\n");
    assert_eq!(session.reached(), Some(Limit::MessageSize));

    for chunk in ["4294967297", "9223372036854775808", "18446744073709551615"] {
        let (text, closed, reached) = last(&mut smtp(), &[&format!("BDAT {chunk} LAST")]);
        assert_eq!(text, "552 5.3.4 chunk too large, closing\r\n", "{chunk}");
        assert_eq!((closed, reached), (true, Some(Limit::Literal)));
    }

    let mut session = smtp();
    let long = format!("NOOP {}", "x".repeat(600));
    let (text, _, reached) = last(&mut session, &[&long]);
    assert_eq!(
        (text.as_str(), reached),
        ("500 5.5.2 line too long\r\n", Some(Limit::Line))
    );
    session.on(Input::LineTooLong);
    assert_eq!(session.reached(), Some(Limit::Line));
    let (text, closed, reached) = last(&mut session, &["X"]);
    assert_eq!(text, "421 4.7.0 localhost too many errors, closing\r\n");
    assert_eq!((closed, reached), (true, Some(Limit::Errors)));

    let noops = ["NOOP"; 4];
    let (_, closed, reached) = last(&mut smtp(), &noops[..1]);
    assert_eq!(
        (closed, reached),
        (false, None),
        "EHLO and one NOOP are two"
    );
    let (text, closed, reached) = last(&mut smtp(), &noops[..2]);
    assert!(text.starts_with("250 ") && !closed, "{text}");
    assert_eq!(reached, Some(Limit::Chatter));
    let (_, closed, _) = last(&mut smtp(), &noops[..4]);
    assert!(closed, "chatter is an error, and there were three");
}

#[test]
fn imap_counts_a_line_that_is_too_long_as_one() {
    let mut session = imap();
    session.on(Input::LineTooLong);
    assert_eq!(session.reached(), Some(Limit::Line));
    let mut session = imap();
    session.on(Input::BareNewline);
    assert_eq!(session.reached(), None);
}

#[test]
fn pop3_bounds() {
    let mut session = Pop3Session::new(Arc::new(pop3::Config {
        errors: 3,
        ..pop3::Config::default()
    }));
    session.on(Input::Open);
    let long = format!("NOOP {}", "x".repeat(300));
    let (text, _, reached) = last(&mut session, &[&long]);
    assert!(text.starts_with("-ERR "), "{text}");
    assert_eq!(reached.or(Some(Limit::Line)), Some(Limit::Line));
    session.on(Input::LineTooLong);
    assert_eq!(session.reached(), Some(Limit::Line));
    let (text, closed, reached) = last(&mut session, &["X"]);
    assert!(text.starts_with("-ERR ") && closed, "{text}");
    assert_eq!(reached, Some(Limit::Errors));
}
