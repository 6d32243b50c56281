//! Commands that both readers know, and the mistakes that are made in them.

use crate::client::State;

/// Commands by the state they are valid in.
pub const ALL: &[(State, &[&str])] = &[
    (State::Before, BEFORE),
    (State::Clear, &["STARTTLS", "starttls"]),
    (State::Selected, SELECTED),
];

const BEFORE: &[&str] = &[
    "LOGIN ada secret",
    "LOGIN \"a d\\\"a\" {6+}\r\nsecret",
    "login a]b \"\"",
    "LOGIN {3+}\r\nada {6+}\r\nse\"ret",
    "AUTHENTICATE PLAIN",
    "AUTHENTICATE PLAIN AGFkYQBzZWNyZXQ=",
    "CAPABILITY",
    "NOOP",
    "LOGOUT",
];

const SELECTED: &[&str] = &[
    "NOOP",
    "CHECK",
    "CLOSE",
    "EXPUNGE",
    "UNSELECT",
    "IDLE",
    "NAMESPACE",
    "ENABLE X-A X-B",
    "ID NIL",
    "ID (\"name\" \"Mutt\" \"version\" NIL)",
    "SELECT INBOX",
    "SELECT \"a b\"",
    "EXAMINE {5+}\r\nINBOX",
    "CREATE a/b",
    "CREATE R&-D",
    "DELETE a",
    "RENAME a b",
    "SUBSCRIBE a",
    "UNSUBSCRIBE \"a\"",
    "LIST \"\" *",
    "LIST a/ %]",
    "LIST \"\" \"\"",
    "LSUB \"\" {3+}\r\na*b",
    "STATUS INBOX (MESSAGES)",
    "STATUS a (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)",
    "STATUS {3+}\r\na b (SIZE DELETED)",
    "GETQUOTA \"\"",
    "GETQUOTAROOT INBOX",
    "SEARCH ALL",
    "SEARCH 1:9,3 UID 5:*",
    "SEARCH *",
    "SEARCH CHARSET UTF-8 TEXT {2+}\r\n\u{e9}",
    "SEARCH CHARSET US-ASCII FROM a",
    "SEARCH NOT (OR SEEN (DRAFT ANSWERED))",
    "SEARCH OR NOT SEEN BCC a",
    "SEARCH BEFORE 1-Feb-1994 SINCE \"01-Feb-1994\"",
    "SEARCH HEADER Message-ID \"\" SUBJECT x BODY \"a b\"",
    "SEARCH LARGER 0 SMALLER 4294967295 KEYWORD $Forwarded UNKEYWORD a",
    "SEARCH NEW OLD RECENT UNSEEN UNDELETED UNFLAGGED UNDRAFT UNANSWERED",
    "SEARCH SENTON 1-Jan-2000 SENTBEFORE 1-Jan-2000 SENTSINCE 1-Jan-2000 ON 1-Jan-2000",
    "UID SEARCH TO a CC b",
    "FETCH 1 ALL",
    "FETCH 1:* FAST",
    "FETCH 1,2:3 FULL",
    "FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)",
    "FETCH 1 RFC822",
    "FETCH 1 (RFC822.HEADER RFC822.TEXT)",
    "FETCH 1 BODY[]",
    "FETCH 1 BODY.PEEK[HEADER]",
    "FETCH 1 BODY[1.2.MIME]<0.100>",
    "FETCH 1 (BODY[HEADER.FIELDS (To \"From\")] BODY.PEEK[1.HEADER.FIELDS.NOT (A)])",
    "FETCH 1 BODY[HEADER.FIELDS ({2+}\r\nTo)]",
    "FETCH 1 BODY[TEXT]",
    "FETCH 1 BODY[1.1.TEXT]<7.1>",
    "FETCH 1 BINARY[1]",
    "FETCH 1 (BINARY.PEEK[1.2]<0.5> BINARY.SIZE[3])",
    "UID FETCH 1:* FLAGS",
    "STORE 1 FLAGS (\\Seen a)",
    "STORE 1:2 +FLAGS.SILENT (\\Deleted \\Answered \\Flagged \\Draft)",
    "STORE 1 -FLAGS a b",
    "STORE 1 FLAGS ()",
    "UID STORE 5 +FLAGS (x)",
    "COPY 1:2 Archive",
    "UID COPY 1 \"a b\"",
    "MOVE 1 Archive",
    "UID MOVE 1:* a",
    "UID EXPUNGE 1:3",
    "APPEND INBOX {5+}\r\nhello",
    "APPEND \"a b\" (\\Seen x) {5+}\r\nhello",
    "APPEND a \" 1-Jan-2020 01:02:03 +0130\" {2+}\r\n\r\n",
    "APPEND a () \"31-Dec-1999 23:59:59 -0800\" ~{1+}\r\nx",
];

/// A command as it goes over the wire.
pub fn line(command: &[u8]) -> Vec<u8> {
    [b"t ", command, b"\r\n"].concat()
}

/// What one small mistake, or none, makes of a command. Literals stay whole: the mistakes are before and behind them.
pub fn mistakes(command: &str) -> Vec<Vec<u8>> {
    const ODD: [&[u8]; 22] = [
        b" ",
        b"\"",
        b"(",
        b")",
        b"[",
        b"]",
        b"{",
        b"}",
        b"*",
        b"%",
        b"\\",
        b"0",
        b"1",
        b",",
        b":",
        b".",
        b"<",
        b"+",
        b"-",
        b"a",
        b"\xc3\xa9",
        b"\x7f",
    ];
    let octets = command.as_bytes();
    // From the announcement to the last octet of the literals.
    let literals = command.find('{').unwrap_or(octets.len())
        ..command.rfind("}\r\n").map_or(octets.len(), |at| at + 3);
    let mut lines = vec![octets.to_vec()];
    for at in 0..octets.len() {
        if literals.contains(&at) {
            continue;
        }
        if !literals.is_empty() && at >= literals.end {
            // Inside or behind the last literal: only what comes after its octets may change, and that is seen at the end.
            break;
        }
        let (head, tail) = octets.split_at(at);
        lines.push([head, &tail[1..]].concat());
        lines.push([head, &tail[..1], tail].concat());
        lines.push(head.to_vec());
        for odd in ODD {
            lines.push([head, odd, tail].concat());
        }
        for odd in &ODD[..8] {
            lines.push([head, odd, &tail[1..]].concat());
        }
    }
    for end in [" ", ")", "x", " x", "  ", "(", " ()", "]", "\"", "\\", ","] {
        lines.push([octets, end.as_bytes()].concat());
    }
    lines.sort();
    lines.dedup();
    lines.iter().map(|octets| line(octets)).collect()
}
