//! `tag`, `command`, `command-any`, `uid`: what stands around the arguments.

use super::super::client::{State, say};
use super::holds;

/// `tag = 1*<any ASTRING-CHAR except "+">`; a line without one is answered without one.
#[test]
fn tag() {
    for tag in [
        "a",
        "A1",
        "1",
        "a]",
        "]",
        "a.b-c_d",
        "NIL",
        "}",
        "~",
        "$a",
        "#&'=|",
        "a:b,c;d<e>?@^`/",
    ] {
        let heard = say(State::Selected, format!("{tag} CHECK\r\n").as_bytes());
        assert!(
            heard.is_taken() && heard.said.contains(&format!("{tag} OK ")),
            "{tag}: {heard:?}"
        );
    }
    for tag in [
        "", "*", "+", "a+", "a+b", "\"a\"", "(a", "a)", "{", "a*", "%", "\\a", "\u{e9}", "a\u{7f}",
        "\t", "a\"b",
    ] {
        let heard = say(State::Selected, format!("{tag} CHECK\r\n").as_bytes());
        assert!(!heard.is_taken() && heard.whole, "{tag}: {heard:?}");
        assert!(heard.said.starts_with("* BAD "), "{tag}: {heard:?}");
    }
    // A literal behind what is no tag belongs to it.
    let heard = say(State::Selected, b"+ x {5+}\r\nCHECK\r\n");
    assert!(heard.whole && heard.said.starts_with("* BAD "), "{heard:?}");
}

/// `command = tag SP (…) CRLF`
#[test]
fn command() {
    holds(
        State::Selected,
        "command",
        &["NOOP", "noop", "nOOp"],
        &[
            "",
            " NOOP",
            "  NOOP",
            "NOOP ",
            "NOOP  ",
            "NOOP x",
            "\"NOOP\"",
            "NOOP\t",
            "NOOP()",
            "{4+}\r\nNOOP",
            "X-FOO",
            "FOO x",
            "\u{e9}",
        ],
    );
    for line in [
        "t\r\n",
        "t \r\n",
        "\r\n",
        " \r\n",
        "t\tNOOP\r\n",
        "t\0NOOP\r\n",
    ] {
        let heard = say(State::Selected, line.as_bytes());
        assert!(!heard.is_taken() && heard.whole, "{line:?}: {heard:?}");
    }
    // CR and LF end a line together alone (RFC 9051 section 2.2).
    for line in [
        "t NOOP\r\r\n",
        "t NO\nOP\r\n",
        "t NO\rOP\r\n",
        "\nt NOOP\r\n",
    ] {
        let heard = say(State::Selected, line.as_bytes());
        assert!(
            !heard.is_taken() && heard.said.contains("BAD"),
            "{line:?}: {heard:?}"
        );
    }
}

/// Commands without arguments, each in its states and in no other.
#[test]
fn commands_without_arguments() {
    let all = [State::Before, State::LoggedIn, State::Selected];
    for (name, states) in [
        ("CAPABILITY", &all[..]),
        ("NOOP", &all),
        ("LOGOUT", &all),
        ("NAMESPACE", &all[1..]),
        ("IDLE", &all[1..]),
        ("CHECK", &all[2..]),
        ("CLOSE", &all[2..]),
        ("UNSELECT", &all[2..]),
        ("EXPUNGE", &all[2..]),
    ] {
        for state in all {
            let forms = [name.to_owned(), name.to_ascii_lowercase()];
            let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
            let surplus: Vec<String> = [" ", " x", " ()", "x", "\"\"", " {0+}\r\n"]
                .iter()
                .map(|surplus| format!("{name}{surplus}"))
                .collect();
            let mut refused: Vec<&str> = surplus.iter().map(String::as_str).collect();
            match states.contains(&state) {
                true => holds(state, name, &forms, &refused),
                false => {
                    refused.extend(forms);
                    holds(state, name, &[], &refused);
                }
            }
        }
    }
    // TLS begins once, and only where it is offered (RFC 9051 section 6.2.1).
    holds(
        State::Clear,
        "STARTTLS",
        &["STARTTLS"],
        &["STARTTLS ", "STARTTLS x"],
    );
    holds(State::Before, "STARTTLS", &[], &["STARTTLS"]);
    holds(State::LoggedIn, "STARTTLS", &[], &["STARTTLS"]);
}

/// `uid = "UID" SP (copy / move / fetch / search / store / uid-expunge)`
#[test]
fn uid() {
    holds(
        State::Selected,
        "uid",
        &[
            "UID COPY 1 a",
            "uid move 1 a",
            "UID FETCH 1 FLAGS",
            "UID SEARCH ALL",
            "UID STORE 1 FLAGS ()",
            "UID EXPUNGE 1",
            "UID EXPUNGE 1:*",
            "UID EXPUNGE $",
            "UID FETCH 4294967295 FLAGS",
            "UID COPY 4294967295 a",
        ],
        &[
            "UID",
            "UID ",
            "UID  FETCH 1 FLAGS",
            "UID NOOP",
            "UID EXPUNGE",
            "UID EXPUNGE ",
            "UID EXPUNGE 0",
            "UID EXPUNGE 1 2",
            "UID CLOSE",
            "UID SELECT a",
            "UID UID FETCH 1 FLAGS",
            "UIDFETCH 1 FLAGS",
            "UID APPEND a {1+}\r\nx",
            "EXPUNGE 1",
            "UID \"FETCH\" 1 FLAGS",
            "UID CHECK",
            "UID STATUS a (MESSAGES)",
        ],
    );
}

/// `enable = "ENABLE" 1*(SP capability)`, `capability = … / atom`
#[test]
fn enable() {
    holds(
        State::LoggedIn,
        "enable",
        &[
            "ENABLE IMAP4rev2",
            "enable imap4rev2",
            "ENABLE CONDSTORE",
            "ENABLE X-A X-B UTF8=ACCEPT",
            "ENABLE NIL",
        ],
        &[
            "ENABLE",
            "ENABLE ",
            "ENABLE  IMAP4rev2",
            "ENABLE IMAP4rev2 ",
            "ENABLE \"IMAP4rev2\"",
            "ENABLE (IMAP4rev2)",
            "ENABLE {9+}\r\nIMAP4rev2",
            "ENABLE a]",
            "ENABLE \u{e9}",
        ],
    );
    holds(State::Before, "enable", &[], &["ENABLE IMAP4rev2"]);
}

/// `id = "ID" SP id-params-list` (RFC 2971 section 4): strings, not atoms, and pairs.
#[test]
fn id() {
    let many = |pairs: usize| format!("ID ({})", vec!["\"a\" \"b\""; pairs].join(" "));
    for state in [State::Before, State::LoggedIn, State::Selected] {
        holds(
            state,
            "id",
            &[
                "ID NIL",
                "id nil",
                "ID ()",
                "ID (\"name\" \"x\")",
                "ID (\"name\" NIL)",
                "ID (\"a\" \"b\" {1+}\r\nc nil)",
                "ID (\"name\" \"\")",
                &many(30),
            ],
            &[
                "ID",
                "ID ",
                "ID NILX",
                "ID \"name\"",
                "ID (name x)",
                "ID (\"name\")",
                "ID (\"a\" \"b\" \"c\")",
                "ID (NIL \"a\")",
                "ID (\"name\" x)",
                "ID (\"a\" \"b\"",
                "ID (\"a\"  \"b\")",
                "ID ( \"a\" \"b\")",
                "ID (\"a\" \"b\" )",
                "ID () ()",
                "ID ((\"a\" \"b\"))",
                "ID \"NIL\"",
                &many(31),
            ],
        );
    }
}
