//! `store`, `store-att-flags`, `flag-list`, `flag`, `flag-keyword`.

use super::super::client::State;
use super::{holds, holds_in};

#[test]
fn store() {
    holds_in(
        State::Selected,
        "store-att-flags",
        "STORE 1 @",
        &[
            "FLAGS ()",
            "FLAGS (\\Seen)",
            "FLAGS (\\Seen \\Answered)",
            "FLAGS \\Seen",
            "FLAGS \\Seen \\Draft x",
            "+FLAGS (\\Deleted)",
            "-FLAGS (x)",
            "flags.silent (\\seen)",
            "+FLAGS.SILENT ()",
            "-Flags.Silent \\FLAGGED",
        ],
        &[
            "",
            "FLAGS",
            "FLAGS ",
            "FLAGS.SILENT",
            "+FLAGS",
            "FLAGS  ()",
            "FLAGS () ",
            "FLAGS ()()",
            "FLAGS () ()",
            "FLAGS(\\Seen)",
            "FLAGS (\\Seen",
            "FLAGS \\Seen)",
            "FLAGS ( \\Seen)",
            "FLAGS (\\Seen )",
            "FLAGS (\\Seen  \\Draft)",
            "FLAGS (\\Seen,\\Draft)",
            "FLAGS ((\\Seen))",
            "FLAGS \\Seen (\\Draft)",
            "++FLAGS ()",
            "+-FLAGS ()",
            "+ FLAGS ()",
            " FLAGS ()",
            "FLAGS+ ()",
            "FLAG ()",
            "FLAGSX ()",
            "FLAGS.SILENTLY ()",
            "FLAGS.LOUD ()",
            ".SILENT ()",
            "BODY ()",
            "(FLAGS ())",
            "FLAGS {0+}\r\n",
            "FLAGS \"\\\\Seen\"",
            "(UNCHANGEDSINCE 1) FLAGS ()",
            "() FLAGS ()",
        ],
    );
    holds(
        State::Selected,
        "store",
        &[],
        &[
            "STORE",
            "STORE ",
            "STORE 1",
            "STORE 1 ",
            "STORE FLAGS ()",
            "STORE 1 FLAGS () x",
            "STORE  1 FLAGS ()",
        ],
    );
    // Nothing is stored in a mailbox that was EXAMINEd, and that is no matter of grammar.
    holds(
        State::Examined,
        "store",
        &["STORE 1 FLAGS ()"],
        &["STORE 1 FLAGS"],
    );
}

/// `flag = "\Answered" / … / flag-keyword / flag-extension`. `\Recent` is no flag that a client can set, `\*` is none at all, and no
/// `flag-extension` is defined.
#[test]
fn flag() {
    for frame in [
        "STORE 1 FLAGS (@)",
        "STORE 1 +FLAGS @",
        "STORE 1 -FLAGS.SILENT (\\Seen @)",
        "APPEND a (@ x) {1+}\r\nx",
    ] {
        holds_in(
            State::Selected,
            "flag",
            frame,
            &[
                "\\Answered",
                "\\Flagged",
                "\\Deleted",
                "\\Seen",
                "\\Draft",
                "\\SEEN",
                "$MDNSent",
                "$Forwarded",
                "$Junk",
                "$NotJunk",
                "$Phishing",
                "x",
                "NIL",
                "a.b",
                "1",
                "Seen",
                "a}",
                "~",
                "&=+",
            ],
            &[
                "\\Recent",
                "\\recent",
                "\\*",
                "\\",
                "\\\\Seen",
                "\\ Seen",
                "\\Foo",
                "\\SeenX",
                "\\Seen]",
                "*",
                "%",
                "a*",
                "a]",
                "a\\b",
                "\"x\"",
                "{1+}\r\nx",
                "\u{e9}",
                "a\u{7f}",
                "a(b)",
                "a\"b",
            ],
        );
    }
}

/// `flag-keyword = … / atom`, in a search.
#[test]
fn flag_keyword() {
    for frame in ["SEARCH KEYWORD @", "SEARCH NOT UNKEYWORD @ SEEN"] {
        holds_in(
            State::Selected,
            "flag-keyword",
            frame,
            &["x", "$Forwarded", "NIL", "a.b", "Seen"],
            &[
                "",
                "\\Seen",
                "\"x\"",
                "{1+}\r\nx",
                "a]",
                "a*",
                "(x)",
                "\u{e9}",
            ],
        );
    }
    let long = |octets: usize| "k".repeat(octets);
    holds_in(
        State::Selected,
        "atom",
        "STORE 1 FLAGS (@)",
        &[&long(200)],
        &[&long(201)],
    );
}
