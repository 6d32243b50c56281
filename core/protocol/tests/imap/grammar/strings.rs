//! `astring`, `string`, `quoted`, `literal`, `atom`: in every place where a command has one.

use super::super::client::State;
use super::holds_in;

/// Places of an `astring`; `@` is the string.
const ASTRINGS: &[(State, &str)] = &[
    (State::Before, "LOGIN @ secret"),
    (State::Before, "LOGIN ada @"),
    (State::LoggedIn, "SELECT @"),
    (State::LoggedIn, "EXAMINE @"),
    (State::LoggedIn, "CREATE @"),
    (State::LoggedIn, "CREATE @ (USE (\\Sent))"),
    (State::LoggedIn, "DELETE @"),
    (State::LoggedIn, "RENAME @ b"),
    (State::LoggedIn, "RENAME a @"),
    (State::LoggedIn, "SUBSCRIBE @"),
    (State::LoggedIn, "UNSUBSCRIBE @"),
    (State::LoggedIn, "LIST @ x"),
    (
        State::LoggedIn,
        "LIST (SUBSCRIBED) @ (x y) RETURN (CHILDREN)",
    ),
    (State::LoggedIn, "LSUB @ x"),
    (State::LoggedIn, "STATUS @ (MESSAGES)"),
    (State::LoggedIn, "GETQUOTA @"),
    (State::LoggedIn, "GETQUOTAROOT @"),
    (State::LoggedIn, "SETQUOTA @ (STORAGE 1)"),
    (State::LoggedIn, "APPEND @ {1+}\r\nx"),
    (State::LoggedIn, "APPEND @ (\\Seen) {1+}\r\nx"),
    (State::Selected, "COPY 1 @"),
    (State::Selected, "UID MOVE 12 @"),
    (State::Selected, "SEARCH FROM @"),
    (State::Selected, "SEARCH TEXT @ BODY @"),
    (State::Selected, "SEARCH HEADER Subject @ SEEN"),
    (State::Selected, "SEARCH CHARSET UTF-8 SUBJECT @"),
    (State::Selected, "SEARCH HEADER @ x"),
    (State::Selected, "FETCH 1 BODY.PEEK[HEADER.FIELDS (@)]"),
    (
        State::Selected,
        "FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (To @ From)]<0.9>",
    ),
];

/// Places of a `list-mailbox`, where wildcards may stand in an atom too.
const PATTERNS: &[(State, &str)] = &[
    (State::LoggedIn, "LIST \"\" @"),
    (State::LoggedIn, "LSUB \"\" @"),
    (State::LoggedIn, "LIST (SUBSCRIBED) \"\" (@ x)"),
    (State::LoggedIn, "LIST \"\" (x @) RETURN (SUBSCRIBED)"),
];

/// Places of a `string`, where an atom may not stand.
const STRINGS: &[(State, &str)] = &[
    (State::Before, "ID (@ \"x\")"),
    (State::Before, "ID (\"name\" @)"),
];

const TAKEN: &[&str] = &[
    "\"a\"",
    "\"\"",
    "\"a b\"",
    "\"a\\\"b\"",
    "\"a\\\\b\"",
    "\"(a){b}%*]\"",
    "\"{3}\"",
    "{1}\r\na",
    "{1+}\r\na",
    "{3+}\r\na b",
    "{0}\r\n",
    "{0+}\r\n",
    "{2+}\r\n\"\\",
    "{01+}\r\na",
    "{5+}\r\n{9+}\"",
    "\"NIL\"",
];

const REFUSED: &[&str] = &[
    "",
    " ",
    "(a)",
    "(",
    ")",
    "a\"",
    "\"",
    "\"a",
    "\"a\"b\"",
    "\"a\"b",
    "\"a\\b\"",
    "\"a\\\"",
    "a\\",
    "\\a",
    "a{",
    "{",
    "{}",
    "{+}",
    "{1",
    "{1-}",
    "{ 1}",
    "{-1}",
    "{a}",
    "{1++}",
    "a{1+}\r\nb",
    "\"a\"{1+}\r\nb",
    "{2+}\r\nab{1+}\r\nc",
    "{1+}\r\nab",
    "~{1+}\r\na",
    "{1+}\r\n\0",
    "\"\0\"",
    "a\0",
    "a\t",
    "a\u{7f}",
    "a b",
    "a  b",
    "{1+} ",
    "\u{e9}",
    "a\u{e9}",
    "\u{80}",
];

/// What is refused in this place: in a list two are two.
fn refused_in(frame: &str) -> Vec<&'static str> {
    let in_list = ["(@", "@)", "To @"].iter().any(|list| frame.contains(list));
    let refused = REFUSED.iter().copied();
    refused.filter(|form| !in_list || *form != "a b").collect()
}

#[test]
fn astring() {
    for (state, frame) in ASTRINGS {
        holds_in(*state, "astring", frame, TAKEN, &[]);
        holds_in(
            *state,
            "1*ASTRING-CHAR",
            frame,
            &[
                "a",
                "a]b",
                "]",
                "NIL",
                "a.b",
                "1",
                "}",
                "a}",
                "$&+,;:=?@^_`|~'#!-/<>",
            ],
            &[],
        );
        holds_in(*state, "astring", frame, &[], &refused_in(frame));
        holds_in(
            *state,
            "1*ASTRING-CHAR",
            frame,
            &[],
            &["a*", "%", "a%b", "*", "[a (", "a[(b"],
        );
    }
}

#[test]
fn list_mailbox() {
    for (state, frame) in PATTERNS {
        // A list of patterns may stand there too.
        let mut refused = refused_in(frame);
        refused.retain(|form| *form != "(a)");
        holds_in(*state, "list-mailbox", frame, TAKEN, &refused);
        holds_in(
            *state,
            "list-char",
            frame,
            &[
                "a",
                "*",
                "%",
                "%*",
                "a%b*c",
                "]",
                "a]%",
                "INBOX/%",
                "\"*\"",
                "{1+}\r\n%",
                "NIL",
            ],
            &["*\\", "%\"", "a*(b)", "*{1+}\r\na"],
        );
    }
}

#[test]
fn string() {
    for (state, frame) in STRINGS {
        holds_in(*state, "string", frame, TAKEN, REFUSED);
        holds_in(*state, "string", frame, &[], &["a", "]", "1", "*", "NILX"]);
    }
}

/// `QUOTED-CHAR` is 7-bit until the client enables IMAP4rev2; then it is UTF-8 (RFC 9051 section 9). In a literal it is any octet but NUL,
/// and what it means is another matter.
#[test]
fn eight_bit() {
    for (state, frame) in ASTRINGS {
        let quoted = ["\"\u{e9}\"", "\"a\u{c0b0}\""];
        match (*state, frame) {
            // Names and passwords are UTF-8 all the same, and nobody can enable anything before them.
            (State::Before, frame) => holds_in(*state, "QUOTED-CHAR", frame, &quoted, &[]),
            (_, frame) => holds_in(*state, "QUOTED-CHAR", frame, &[], &quoted),
        }
        // The name of a field is US-ASCII, whatever holds it.
        if *state == State::Selected
            && !frame.contains("HEADER.FIELDS")
            && !frame.contains("HEADER @")
        {
            holds_in(State::Rev2, "QUOTED-CHAR", frame, &quoted, &[]);
        }
    }
    holds_in(
        State::Rev2,
        "literal",
        "SELECT @",
        &["{2+}\r\n\u{e9}"],
        &["\u{e9}"],
    );
    holds_in(
        State::LoggedIn,
        "literal",
        "SELECT @",
        &["{2+}\r\n\u{e9}"],
        &[],
    );
}

/// `number64`: the length of a literal is below 2^63, and no command is so long.
#[test]
fn literals_that_are_too_long() {
    let lengths = [
        "{300000}",
        "{4294967296}",
        "{9223372036854775807}",
        "{9223372036854775808}",
        "{99999999999999999999999}",
    ];
    // The client waits for a go-ahead and does not get it.
    holds_in(State::LoggedIn, "literal", "SELECT @", &[], &lengths);
    holds_in(
        State::Before,
        "literal",
        "LOGIN @",
        &[],
        &["{50000}", "{4294967296}"],
    );
}
