//! `search`, `search-return-opts`, `search-program`, `search-key`, `charset`.

use super::super::client::{State, say};
use super::{holds, holds_in};

#[test]
fn search_key() {
    holds_in(
        State::Selected,
        "search-key",
        "SEARCH @",
        &[
            "ALL",
            "all",
            "ANSWERED",
            "BCC a",
            "BEFORE 1-Feb-2026",
            "BODY a",
            "CC a",
            "DELETED",
            "FLAGGED",
            "FROM a",
            "KEYWORD a",
            "NEW",
            "OLD",
            "ON 1-Feb-2026",
            "RECENT",
            "SEEN",
            "SINCE 1-Feb-2026",
            "SUBJECT a",
            "TEXT a",
            "TO a",
            "UNANSWERED",
            "UNDELETED",
            "UNFLAGGED",
            "UNKEYWORD a",
            "UNSEEN",
            "DRAFT",
            "HEADER a b",
            "LARGER 1",
            "NOT SEEN",
            "OR SEEN DRAFT",
            "SENTBEFORE 1-Feb-2026",
            "SENTON 1-Feb-2026",
            "SENTSINCE 1-Feb-2026",
            "SMALLER 1",
            "UID 1",
            "UNDRAFT",
            "1:3",
            "$",
            "UID $",
            "(SEEN)",
            "(SEEN DRAFT)",
            "((SEEN) (DRAFT))",
            "SEEN DRAFT 1:2",
            "NOT NOT SEEN",
            "NOT (SEEN DRAFT)",
            "OR (SEEN) (OR DRAFT NEW)",
            "OR NOT SEEN NOT DRAFT",
            "1 2 3",
            "HEADER a \"\"",
            "NOT 1:2",
            "OR 1 2",
        ],
        &[
            "",
            " ",
            "SEEN ",
            " SEEN",
            "SEEN  DRAFT",
            "SEENX",
            "FOO",
            "XSEEN",
            "\"SEEN\"",
            "{4+}\r\nSEEN",
            "()",
            "( SEEN)",
            "(SEEN )",
            "(SEEN",
            "SEEN)",
            "(SEEN)(DRAFT)",
            "(SEEN)DRAFT",
            "NOT",
            "NOT ",
            "NOT()",
            "NOT  SEEN",
            "OR",
            "OR SEEN",
            "OR SEEN ",
            "OR SEEN  DRAFT",
            "OR (SEEN DRAFT)",
            "BCC",
            "BCC ",
            "BCC  a",
            "FROM (a)",
            "HEADER",
            "HEADER a",
            "HEADER a ",
            "KEYWORD",
            "KEYWORD ",
            "LARGER",
            "LARGER a",
            "UID",
            "UID ",
            "UID a",
            "UID SEEN",
            "SUBJECT a b",
            "TEXT",
            "ON",
            "SEEN,DRAFT",
            "ALL;",
            "\u{e9}",
            "NIL",
            "*:",
            "SEEN$",
        ],
    );
    holds(
        State::Selected,
        "search",
        &[],
        &[
            "SEARCH",
            "SEARCH ",
            "SEARCH  ALL",
            "UID SEARCH",
            "SEARCHALL",
        ],
    );
    // What is not announced is not known (RFC 5032, RFC 7162, RFC 8474, RFC 8514).
    holds_in(
        State::Selected,
        "search-key",
        "SEARCH @",
        &[],
        &[
            "YOUNGER 1",
            "OLDER 1",
            "MODSEQ 1",
            "MODSEQ \"/flags/\\\\Seen\" all 1",
            "EMAILID M1",
            "THREADID T1",
            "SAVEDON 1-Feb-2026",
            "SAVEDATESUPPORTED",
            "FUZZY SUBJECT a",
            "NOT (SEEN OR MODSEQ 1 SEEN)",
        ],
    );
}

/// Nesting and the number of keys have an end, and it is said.
#[test]
fn a_search_has_bounds() {
    let nested = |levels: usize| format!("{}SEEN{}", "(".repeat(levels), ")".repeat(levels));
    let nots = |levels: usize| format!("{}SEEN", "NOT ".repeat(levels));
    let many = |keys: usize| vec!["SEEN"; keys].join(" ");
    holds_in(
        State::Selected,
        "search-key",
        "SEARCH @",
        &[&nested(50), &nots(50), &many(1000)],
        &[&nested(51), &nots(51), &many(1001), &nested(5000)],
    );
}

/// `search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"` (RFC 4731, RFC 5182)
#[test]
fn search_return_opts() {
    for state in [State::Selected, State::Rev2] {
        holds_in(
            state,
            "search-return-opts",
            "SEARCH @",
            &[
                "RETURN () ALL",
                "return (min) ALL",
                "RETURN (MIN MAX COUNT ALL) ALL",
                "RETURN (SAVE) ALL",
                "RETURN (SAVE COUNT) SEEN",
                "RETURN (MIN MIN) ALL",
                "RETURN (ALL) CHARSET UTF-8 SUBJECT a",
            ],
            &[
                "RETURN",
                "RETURN ALL",
                "RETURN () ",
                "RETURN ()",
                "RETURN() ALL",
                "RETURN ( ) ALL",
                "RETURN (MIN,MAX) ALL",
                "RETURN (MIN ) ALL",
                "RETURN ( MIN) ALL",
                "RETURN (MIN  MAX) ALL",
                "RETURN (MIN ALL",
                "RETURN MIN ALL",
                "RETURN (FOO) ALL",
                "RETURN (MIN 1) ALL",
                "RETURN (\"MIN\") ALL",
                "RETURN (MIN) RETURN (MAX) ALL",
                "RETURN (PARTIAL 1:2) ALL",
                "ALL RETURN (MIN)",
                "RETURN ((MIN)) ALL",
                "CHARSET UTF-8 RETURN (MIN) ALL",
                "RETURN (MIN)ALL",
                "RETURN  (MIN) ALL",
            ],
        );
    }
}

/// `search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)`, `charset = atom / quoted`, which was an `astring` (RFC 3501).
#[test]
fn charset() {
    holds_in(
        State::Selected,
        "search-program",
        "SEARCH @",
        &[
            "CHARSET UTF-8 ALL",
            "charset us-ascii ALL",
            "CHARSET \"UTF-8\" SEEN DRAFT",
            "CHARSET {5+}\r\nUTF-8 ALL",
            "CHARSET X-NONE ALL",
            "CHARSET ISO-8859-1 FROM a",
            "CHARSET EUC-KR FROM a",
            "CHARSET UTF-8 SUBJECT {2+}\r\n\u{e9}",
            "CHARSET ISO-8859-1 SUBJECT {2+}\r\n\u{e9}",
        ],
        &[
            "CHARSET",
            "CHARSET ",
            "CHARSET UTF-8",
            "CHARSET UTF-8 ",
            "CHARSET  UTF-8 ALL",
            "CHARSET UTF-8  ALL",
            "CHARSET (UTF-8) ALL",
            "CHARSETUTF-8 ALL",
            "ALL CHARSET UTF-8",
            "CHARSET UTF-8 CHARSET UTF-8 ALL",
            "(CHARSET UTF-8 ALL)",
            "SUBJECT {2+}\r\n\u{e9}",
            "CHARSET US-ASCII SUBJECT {2+}\r\n\u{e9}",
            "CHARSET UTF-8 SUBJECT \u{e9}",
        ],
    );
    // A charset that nobody knows is NO, and the response names those that are known (RFC 9051 section 6.4.4).
    let heard = say(State::Selected, b"t SEARCH CHARSET X-NONE ALL\r\n");
    assert!(heard.said.starts_with("t NO [BADCHARSET"), "{heard:?}");
    let heard = say(
        State::Selected,
        b"t SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xc3(\r\n",
    );
    assert!(!heard.is_taken() && heard.whole, "{heard:?}");
}
