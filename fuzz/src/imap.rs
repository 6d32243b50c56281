//! The IMAP session: one tagged response a command, nothing said that contradicts what was said before.
//!
//! Whoever believes the responses has the right number of messages at any time; `EXPUNGE` comes only where it may (I5); asks
//! stay in their bounds, and come after a login alone.

pub mod reader;
mod world;

use postrider_protocol::imap::session::{Config, ImapSession, Limits};
use postrider_protocol::sasl::PlaintextLogin;
use postrider_protocol::tls::Tls;

use super::script::{Choices, Script};
use super::wire::{Connection, play};
use world::World;

/// A message whose parts all commands find something in.
const MESSAGE: &[u8] = b"From: Ada <ada@example.test>\r\nTo: group: bob@example.net, \"C\" <c@example.net>;\r\n\
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.test>\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\
MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: base64\r\n\r\nZ3LDvMOfZQ==\r\n--b--\r\n";

fn config(setting: u8) -> Config {
    Config {
        hostname: "mail.example.test".to_owned(),
        tls: [Tls::Implicit, Tls::Offered, Tls::Required, Tls::Absent][usize::from(setting & 3)],
        plaintext_login: match setting & 4 {
            0 => PlaintextLogin::Refused,
            _ => PlaintextLogin::Allowed,
        },
        limits: match setting & 8 {
            0 => Limits::default(),
            _ => Limits {
                line_before_login: 600,
                line: 700,
                command_before_login: 800,
                command: 900,
                message: 100,
                ..Limits::default()
            },
        },
    }
}

/// Plays an input to an IMAP session; with a bit of the setting it is logged in and has a mailbox selected.
pub fn run(octets: &[u8]) {
    let script = Script::of(octets);
    let config = config(script.setting);
    let world = World::new(&config, MESSAGE);
    if script.setting & 16 == 0 {
        play(ImapSession::new(config), world, &script);
        return;
    }
    let open = b"a LOGIN ada@example.test secret\r\nb SELECT INBOX\r\n";
    let script = Script {
        said: &[open, script.said].concat(),
        ..script
    };
    play(ImapSession::new(config), world, &script);
}

/// Reads everything there is to read of a message that a client fetches.
pub fn fetch(message: &[u8], rev2: bool) {
    let config = config(0);
    let world = World::new(&config, message);
    let mut connection = Connection::open(ImapSession::new(config), world, Choices::default());
    connection.hear(b"a LOGIN ada@example.test secret\r\n");
    if rev2 {
        connection.hear(b"b ENABLE IMAP4rev2\r\n");
    }
    connection.hear(
        b"c SELECT INBOX\r\n\
        d FETCH 1 (ENVELOPE BODY BODYSTRUCTURE FLAGS INTERNALDATE RFC822.SIZE UID)\r\n\
        e FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject From Received)] BODY.PEEK[HEADER.FIELDS.NOT (Subject X-A)])\r\n\
        f FETCH 1 (BODY[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]<1.5> BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2.1]<0.9>)\r\n\
        g FETCH 1 (BODY.PEEK[1.HEADER] BODY.PEEK[1.1.TEXT] RFC822.HEADER RFC822.TEXT)\r\n\
        h FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[1.2]<2.3>)\r\n\
        i SEARCH SUBJECT a BODY b TEXT c FROM d SENTSINCE 1-Feb-1994 HEADER X-A \"\" LARGER 3\r\n\
        j UID SEARCH OR NOT TO a CC b\r\n\
        k LOGOUT\r\n",
    );
    assert!(connection.is_closed(), "LOGOUT leaves it open");
}
