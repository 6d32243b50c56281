//! `sequence-set`, `seq-number`, `seq-range`, `nz-number`, `number`, `number64`.

use super::super::client::State;
use super::holds_in;

const FRAMES: &[&str] = &[
    "FETCH @ FLAGS",
    "UID FETCH @ FLAGS",
    "STORE @ +FLAGS (\\Seen)",
    "UID STORE @ FLAGS.SILENT ()",
    "COPY @ a",
    "UID COPY @ a",
    "MOVE @ a",
    "UID MOVE @ a",
    "SEARCH @",
    "SEARCH UID @",
    "SEARCH NOT (@)",
    "UID EXPUNGE @",
    "UID SEARCH @ SEEN",
];

#[test]
fn sequence_set() {
    for frame in FRAMES {
        holds_in(
            State::Selected,
            "sequence-set",
            frame,
            &[
                "1",
                "9",
                "1:9",
                "9:1",
                "1:1",
                "*",
                "1:*",
                "*:1",
                "*:*",
                "1,2",
                "1,1",
                "3,1:2,*",
                "9:7,1,*:2",
                "$",
                "1,2,3,4,5,6,7,8,9",
            ],
            &[
                "",
                "0",
                "00",
                "0:1",
                "1:0",
                "01",
                "1:09",
                "1:",
                ":1",
                ":",
                ",",
                ",1",
                "1,",
                "1,,2",
                "1:2:3",
                "-1",
                "+1",
                "1:-2",
                "1;2",
                "1-2",
                "1.5",
                "1..5",
                "a",
                "1a",
                "*1",
                "1*",
                "**",
                "*:0",
                "0:*",
                "$1",
                "1$",
                "$,1",
                "$:1",
                "$$",
                "\"1\"",
                "{1+}\r\n1",
                "[1]",
                "<1>",
                "4294967296",
                "1:4294967296",
                "18446744073709551616",
                "99999999999999999999999999",
                "\u{661}",
                "1 ,2",
                "1, 2",
                "1 :2",
                "1: 2",
                "1,2 3,",
            ],
        );
    }
}

/// `seq-number`: a number of no message is an error, the UID of none is not; the largest number there is fits.
#[test]
fn seq_number() {
    for frame in ["FETCH @ FLAGS", "STORE @ FLAGS ()", "COPY @ a", "MOVE @ a"] {
        let beyond = ["10", "1:10", "10:*", "4294967295", "*,10"];
        holds_in(State::Selected, "seq-number", frame, &["9", "*"], &beyond);
        let by_uid = format!("UID {frame}");
        holds_in(State::Selected, "seq-number", &by_uid, &beyond, &[]);
    }
    // A key that nothing matches is no error.
    holds_in(
        State::Selected,
        "seq-number",
        "SEARCH @",
        &["10", "4294967295", "10:*"],
        &[],
    );
}

/// `number64 = 1*DIGIT`, below 2^63.
#[test]
fn number64() {
    for frame in [
        "SEARCH LARGER @",
        "SEARCH SMALLER @",
        "FETCH 1 BODY.PEEK[]<@.1>",
        "SETQUOTA \"\" (STORAGE @)",
    ] {
        let state = State::Selected;
        holds_in(
            state,
            "number64",
            frame,
            &[
                "0",
                "1",
                "007",
                "4294967295",
                "4294967296",
                "9223372036854775807",
            ],
            &[
                "",
                "-1",
                "+1",
                "1K",
                "0x1",
                "a",
                "\"1\"",
                "1,000",
                "9223372036854775808",
                "18446744073709551615",
                "18446744073709551616",
            ],
        );
    }
}
