//! Attacks on SMTP sessions, by their numbers (RFC 5321, RFC 3030, RFC 3207, RFC 2920).

use super::*;

#[test]
fn attack_12_chunks_over_the_limit_are_thrown_away() {
    let config = || Config {
        message_size: 10,
        ..mx()
    };
    for (first, last) in [
        ("BDAT 11", false),
        ("BDAT 4294967296", false),
        ("BDAT 11 LAST", true),
    ] {
        let mut session = in_transaction(config());
        let actions = line(&mut session, first);
        assert!(
            matches!(actions[..], [Action::Receive(Receive::Discard { .. })]),
            "{actions:?}"
        );
        assert_eq!(code(&session.on(good(0))), "552");
        assert_eq!(
            session.state(),
            if last { State::Ready } else { State::Chunks }
        );
    }
    let mut session = in_transaction(config());
    let actions = line(&mut session, "BDAT 6");
    let spool = SpoolStart::Fresh;
    assert!(
        matches!(actions[..], [Action::Receive(Receive::Spool { octets: 6, spool: s })] if s == spool)
    );
    assert_eq!(code(&session.on(good(6))), "250");
    let actions = line(&mut session, "BDAT 4");
    let spool = SpoolStart::Append;
    assert!(
        matches!(actions[..], [Action::Receive(Receive::Spool { octets: 4, spool: s })] if s == spool)
    );
    // Whatever the connection counts, these are ten.
    assert_eq!(code(&session.on(good(4))), "250");
    let actions = line(&mut session, "BDAT 1 LAST");
    assert!(matches!(
        actions[..],
        [Action::Receive(Receive::Discard { octets: 1 })]
    ));
    assert_eq!(code(&session.on(good(0))), "552");
}

#[test]
fn attack_12_empty_chunks_end_somewhere() {
    let mut session = in_transaction(Config {
        chatter: 3,
        errors: 2,
        ..mx()
    });
    for _ in 0..20 {
        let actions = line(&mut session, "BDAT 0");
        if closes(&actions) {
            assert_eq!(code(&actions), "421");
            return;
        }
        session.on(good(0));
    }
    panic!("empty chunks without end");
}

#[test]
fn attack_12_chunks_are_read_even_if_not_offered() {
    let mut session = in_transaction(Config {
        chunking: Chunking::Absent,
        ..mx()
    });
    assert!(!text(&line(&mut session, "EHLO x.test")).contains("CHUNKING"));
    let actions = line(&mut session, "BDAT 5 LAST");
    assert!(matches!(
        actions[..],
        [Action::Receive(Receive::Discard { octets: 5 })]
    ));
    assert_eq!(replies(&session.on(good(0))), 1);
}

#[test]
fn attack_13_who_does_not_wait_is_sent_away() {
    for command in [
        "EHLO client.test",
        "helo client.test",
        "DATA",
        "VRFY ada",
        "EXPN staff",
    ] {
        let mut session = in_transaction(mx());
        let actions = session.on_pipelined(command.as_bytes());
        assert_eq!(
            text(&actions),
            "554 5.5.0 talking out of turn, closing\r\n",
            "{command}"
        );
        assert!(closes(&actions) && session.is_over());
    }
    for command in [
        "RCPT TO:<ada@example.test>",
        "RSET",
        "NOOP",
        "QUIT",
        "BDAT 1",
        "MAIL FROM:<>",
        "BOGUS",
    ] {
        let (mut alone, mut pipelined) = (in_transaction(mx()), in_transaction(mx()));
        let actions = pipelined.on_pipelined(command.as_bytes());
        assert_eq!(
            format!("{actions:?}"),
            format!("{:?}", line(&mut alone, command))
        );
    }
}

#[test]
fn attack_13_a_body_behind_a_refused_data_ends_in_421() {
    let mut session = opened(mx());
    line(&mut session, "EHLO client.test");
    sender(&mut session, SenderAnswer::Accepted);
    recipient(&mut session, RecipientAnswer::RelayDenied);
    assert_eq!(code(&line(&mut session, "DATA")), "503");
    for said in 0..mx().errors {
        let actions = line(&mut session, "Subject: no command");
        assert_eq!(replies(&actions), 1);
        if closes(&actions) {
            assert_eq!(code(&actions), "421");
            assert!(said > 1 && session.is_over());
            assert!(line(&mut session, "MAIL FROM:<>").is_empty());
            return;
        }
    }
    panic!("never closed");
}

#[test]
fn attack_15_starttls_forgets_everything() {
    let mut session = opened(Config {
        role: Role::Submission,
        plaintext_login: PlaintextLogin::Allowed,
        tls: Tls::Offered,
        ..mx()
    });
    line(&mut session, "EHLO clear.test");
    line(&mut session, "AUTH PLAIN AGFkYQBw");
    let account = "ada@example.test".to_owned();
    session.on(Input::Answer(Answer::Verdict(Verdict::Granted { account })));
    assert_eq!(session.account(), Some("ada@example.test"));
    let actions = line(&mut session, "STARTTLS");
    assert!(matches!(actions[..], [Action::Write(_), Action::StartTls]));
    assert!(session.on(Input::Secured).is_empty());
    assert_eq!(session.secrecy(), Secrecy::Tls);
    assert_eq!(
        (session.account(), session.hello(), session.last_command()),
        (None, None, "")
    );
    assert_eq!(session.state(), State::Start);
    assert_eq!(code(&line(&mut session, "MAIL FROM:<a@b.test>")), "530");
    let extensions = text(&line(&mut session, "EHLO tls.test"));
    assert!(!extensions.contains("STARTTLS") && extensions.contains("AUTH PLAIN"));
}

#[test]
fn attack_15_text_in_the_place_of_the_handshake_is_not_answered() {
    let mut session = opened(mx());
    line(&mut session, "EHLO client.test");
    line(&mut session, "STARTTLS");
    let actions = line(&mut session, "EHLO evil.test");
    assert!(matches!(actions[..], [Action::Close]));
    assert!(session.is_over());
}

#[test]
fn attack_14_a_leading_dash_stays_an_address() {
    let mut session = in_transaction(mx());
    let actions = line(&mut session, "RCPT TO:<-oQ/tmp@example.test>");
    let [
        Action::Ask(Ask::Recipient {
            forward_path: Some(path),
            ..
        }),
    ] = &actions[..]
    else {
        panic!("{actions:?}");
    };
    assert_eq!(path.to_string(), "-oQ/tmp@example.test");
}

#[test]
fn attack_13_who_speaks_before_the_greeting_is_sent_away() {
    let mut session = SmtpSession::new(Arc::new(mx()));
    let actions = session.on_hasty();
    assert_eq!(text(&actions), "554 5.5.0 talking out of turn, closing\r\n");
    assert!(closes(&actions) && session.is_over());
    let mut session = LmtpSession::new(Arc::new(mx()));
    assert!(closes(&session.on_hasty()) && session.is_over());
}
