//! `select`, `create`, `rename`, `delete`, `subscribe`, `status` and the quota commands.

use super::super::client::{State, say};
use super::{holds, holds_in};

#[test]
fn commands_of_one_name() {
    for verb in [
        "SELECT",
        "EXAMINE",
        "CREATE",
        "DELETE",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "GETQUOTAROOT",
        "GETQUOTA",
    ] {
        let forms = [
            format!("{verb} a"),
            format!("{} \"a\"", verb.to_ascii_lowercase()),
            format!("{verb} INBOX"),
        ];
        let wrong = [
            "",
            " ",
            "  a",
            " a ",
            " a b",
            " a \"b\"",
            " (a)",
            "a",
            " a NIL",
            " {1+}\r\na ",
            " {1+}\r\na b",
        ];
        let wrong = wrong.map(|end| format!("{verb}{end}"));
        let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
        let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
        for state in [State::LoggedIn, State::Selected] {
            holds(state, verb, &forms, &wrong);
        }
        let mut all = forms;
        all.extend(wrong);
        holds(State::Before, verb, &[], &all);
    }
}

#[test]
fn rename() {
    holds(
        State::LoggedIn,
        "rename",
        &[
            "RENAME a b",
            "RENAME INBOX b",
            "RENAME a INBOX",
            "rename \"a\" {1+}\r\nb",
            "RENAME a b/",
        ],
        &[
            "RENAME",
            "RENAME ",
            "RENAME a",
            "RENAME a ",
            "RENAME a  b",
            "RENAME  a b",
            "RENAME a b ",
            "RENAME a b c",
            "RENAME (a b)",
        ],
    );
}

/// `select-params`: none are announced (RFC 7162).
#[test]
fn select_params() {
    for verb in ["SELECT", "EXAMINE"] {
        let frame = format!("{verb} a@");
        holds_in(
            State::LoggedIn,
            "select-params",
            &frame,
            &[""],
            &[
                " ()",
                " (CONDSTORE)",
                " (QRESYNC (1 1))",
                " (FOO)",
                " CONDSTORE",
                " (CONDSTORE",
                "(CONDSTORE)",
            ],
        );
    }
}

/// `create-param` with `USE` (RFC 6154 section 3).
#[test]
fn create_param() {
    holds_in(
        State::LoggedIn,
        "create-param",
        "CREATE a@",
        &[
            "",
            " (USE (\\Sent))",
            " (use (\\archive))",
            " (USE ())",
            " (USE (\\Sent \\Trash))",
            " (USE (\\X-Own))",
            "/",
        ],
        &[
            " ()",
            " (USE)",
            " (USE ",
            " (USE \\Sent)",
            " (USE (Sent))",
            " (USE (\\Sent)",
            " USE (\\Sent)",
            " (USE (\\Sent)) ",
            " (USE  (\\Sent))",
            " ((USE (\\Sent)))",
            " (FOO (\\Sent))",
            "(USE (\\Sent))",
            " (USE (\\))",
            " (USE (\"\\\\Sent\"))",
        ],
    );
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`
#[test]
fn status() {
    holds_in(
        State::LoggedIn,
        "status",
        "STATUS @",
        &[
            "a (MESSAGES)",
            "a (messages)",
            "INBOX (UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE)",
            "a (RECENT)",
            "a (MESSAGES MESSAGES)",
            "\"a b\" (APPENDLIMIT)",
            "{1+}\r\na (SIZE)",
        ],
        &[
            "",
            "a",
            "a ",
            "a ()",
            "a MESSAGES",
            "a (MESSAGES",
            "a MESSAGES)",
            "a (MESSAGES )",
            "a ( MESSAGES)",
            "a (MESSAGES  UNSEEN)",
            "a (MESSAGES,UNSEEN)",
            "a  (MESSAGES)",
            "a(MESSAGES)",
            "a (MESSAGES) ",
            "a (MESSAGES) (UNSEEN)",
            "a (FOO)",
            "a (\"MESSAGES\")",
            "a ((MESSAGES))",
            "(MESSAGES) a",
            "(MESSAGES)",
            "a b (MESSAGES)",
            "a (MESSAGESX)",
            "a (DELETED-STORAGE)",
            // What is not announced is not known (RFC 7162, RFC 8474).
            "a (HIGHESTMODSEQ)",
            "a (MAILBOXID)",
            "a (MESSAGES HIGHESTMODSEQ)",
        ],
    );
}

/// `setquota = "SETQUOTA" SP quota-root-name SP setquota-list` (RFC 9208 section 7): it is not offered, and its grammar is known.
#[test]
fn setquota() {
    holds_in(
        State::LoggedIn,
        "setquota",
        "SETQUOTA @",
        &["\"\" ()", "\"\" (STORAGE 512)", "a (STORAGE 1 MESSAGE 2)"],
        &[
            "",
            "\"\"",
            "\"\" ",
            "\"\" STORAGE 1",
            "\"\" (STORAGE)",
            "\"\" (STORAGE 1",
            "\"\" (STORAGE  1)",
            "\"\" (1 STORAGE)",
            "\"\" () x",
        ],
    );
}

/// A name that no mailbox can have is refused, and not for its grammar; INBOX is always there and in any case.
#[test]
fn mailbox() {
    for name in [
        "\"\"",
        "a//b",
        "/a",
        "..",
        "a/../b",
        "a&b",
        "&AGE-",
        "{1+}\r\n\t",
        "{2+}\r\n\u{e9}",
    ] {
        for verb in ["SELECT", "CREATE", "DELETE", "SUBSCRIBE"] {
            let heard = say(State::LoggedIn, format!("t {verb} {name}\r\n").as_bytes());
            assert!(
                heard.said.starts_with("t NO [CANNOT] "),
                "{verb} {name}: {heard:?}"
            );
            assert!(heard.ask.is_none(), "{heard:?}");
        }
    }
    for name in ["INBOX", "inbox", "\"iNbOx\"", "{5+}\r\nInbox"] {
        let heard = say(State::LoggedIn, format!("t SELECT {name}\r\n").as_bytes());
        assert!(
            format!("{:?}", heard.ask).contains("\"INBOX\""),
            "{heard:?}"
        );
    }
}
