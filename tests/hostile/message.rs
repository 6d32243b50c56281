//! Messages that are made to be expensive: a hundred thousand parts, a million header fields, parameters in pieces.

use std::fmt::Write;

use crate::server::{ADA, Server};

/// Memory in which a message is taken apart, and what stays of it: far less than a tree of 10^5 parts would need.
const TAKEN: u64 = 64 << 20;

fn deliver(server: &Server, message: &str) {
    let mut smtp = server.connect("smtp");
    smtp.say("EHLO a");
    let reply = smtp.send(ADA, message.as_bytes());
    assert!(reply.starts_with("250"), "{reply}");
}

/// Delivers a message, reads its structure and headers; the CPU time that all of it took, in hundredths of a second.
fn cost(server: &Server, message: &str) -> u64 {
    let cpu = server.cpu();
    deliver(server, message);
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let octets =
        imap.ok("FETCH * (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT TO X-A)])");
    assert!(octets < 8 << 20, "{octets} octets of structure");
    imap.ok("SEARCH OR SUBJECT nothing BODY nothing");
    imap.ok("FETCH * BODY.PEEK[1.2.MIME]");
    server.cpu() - cpu
}

/// Twice the work is twice the time, give or take what is there anyway.
fn is_linear(one: u64, four: u64, what: &str) {
    println!("{what}: {one} and {four} hundredths of a second for n and 4n");
    assert!(
        four <= 8 * one.max(25),
        "{what}: {four} for four times what cost {one}"
    );
}

#[test]
fn attack_19_a_hundred_thousand_parts() {
    let server = Server::start("");
    let siblings = |count: usize| {
        let mut message =
            "Subject: siblings\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n".to_owned();
        for number in 0..count {
            let _ = write!(
                message,
                "--x\r\nContent-Type: text/x-{number}\r\n\r\nbody\r\n"
            );
        }
        message + "--x--\r\n"
    };
    let nested = |count: usize| {
        let mut message = "Subject: nested\r\n".to_owned();
        for number in 0..count {
            let _ = write!(
                message,
                "Content-Type: multipart/mixed; boundary=\"x{number}\"\r\n\r\n--x{number}\r\n"
            );
        }
        message + "\r\nbody\r\n"
    };
    let messages = |count: usize| {
        "Content-Type: message/rfc822\r\n\r\n".repeat(count) + "Subject: inside\r\n\r\nbody\r\n"
    };
    cost(&server, &siblings(1000));
    let before = server.memory();
    is_linear(
        cost(&server, &siblings(25_000)),
        cost(&server, &siblings(100_000)),
        "siblings",
    );
    is_linear(
        cost(&server, &nested(25_000)),
        cost(&server, &nested(100_000)),
        "nested parts",
    );
    is_linear(
        cost(&server, &messages(25_000)),
        cost(&server, &messages(100_000)),
        "nested messages",
    );
    server.holds_no_more_than(before, TAKEN, "10^5 parts");
    assert!(server.reached("mime_parts") > 0 && server.reached("mime_depth") > 0);
    server.serves_others();
}

#[test]
fn attack_20_a_million_header_fields() {
    let server = Server::start("");
    let fields = |count: usize| "X-A: b\r\n".repeat(count) + "Subject: many\r\n\r\nbody\r\n";
    let addresses = |count: usize| {
        let list: Vec<_> = (0..count)
            .map(|number| format!("<a{number}@b.test>"))
            .collect();
        format!(
            "Subject: many\r\nTo: {}\r\n\r\nbody\r\n",
            list.join(",\r\n ")
        )
    };
    cost(&server, &fields(1000));
    let before = server.memory();
    is_linear(
        cost(&server, &fields(250_000)),
        cost(&server, &fields(1_000_000)),
        "header fields",
    );
    is_linear(
        cost(&server, &addresses(25_000)),
        cost(&server, &addresses(100_000)),
        "addresses",
    );
    server.holds_no_more_than(before, TAKEN, "10^6 header fields");
    assert!(server.reached("header") > 0);
    server.serves_others();
}

#[test]
fn attack_20_parameters_in_a_hundred_thousand_pieces() {
    let server = Server::start("");
    let pieces = |count: usize| {
        let mut message = "Subject: pieces\r\nContent-Type: text/plain".to_owned();
        for number in 0..count {
            let _ = write!(message, ";\r\n name*{number}*=%41");
        }
        message + "\r\n\r\nbody\r\n"
    };
    let same = |count: usize| {
        let more = ";\r\n name*0*=utf-8''a".repeat(count);
        format!("Subject: same\r\nContent-Disposition: attachment{more}\r\n\r\nbody\r\n")
    };
    cost(&server, &pieces(1000));
    let before = server.memory();
    is_linear(
        cost(&server, &pieces(25_000)),
        cost(&server, &pieces(100_000)),
        "pieces",
    );
    is_linear(
        cost(&server, &same(25_000)),
        cost(&server, &same(100_000)),
        "one piece, again and again",
    );
    server.holds_no_more_than(before, TAKEN, "10^5 parameters");
    assert!(server.reached("header") > 0);
    server.serves_others();
}

#[test]
fn attack_39_names_that_are_made_to_collide_cost_no_more_than_others() {
    // Boundaries and header names are the only keys of a hash table that a stranger chooses; the tables are keyed at random.
    let server = Server::start("");
    let boundaries = |count: usize| {
        let mut message =
            "Subject: boundaries\r\nContent-Type: multipart/mixed; boundary=\"0\"\r\n\r\n"
                .to_owned();
        for number in 0..count {
            let _ = write!(message, "--{}\r\n--{number:08x}--\r\n", number % 2);
        }
        message
    };
    cost(&server, &boundaries(1000));
    is_linear(
        cost(&server, &boundaries(25_000)),
        cost(&server, &boundaries(100_000)),
        "boundaries",
    );
    server.serves_others();
}

/// Of headers that are listed and searched, a few pages are in memory, and what was listed lately; none is left out, wherever it comes from.
#[test]
fn attack_05_a_mailbox_full_of_large_headers() {
    const LATELY: u64 = 16 << 20;
    let server = Server::start("[queues]\nsummaries = \"16MiB\"\n");
    let line = format!("{}\r\n ", "long words ".repeat(80));
    let message = format!("Subject: {}end\r\n\r\nbody\r\n", line.repeat(200));
    deliver(&server, &message);
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    // What somebody else got stays alone; what is large doubles.
    let (first, mut messages) = (2, 1);
    imap.ok("FETCH 2 ENVELOPE");
    while messages < 256 {
        imap.ok(&format!("COPY {first}:{} INBOX", first + messages - 1));
        imap.ok("NOOP");
        messages *= 2;
    }
    let before = server.peak();
    let mut structures = |of: &str| imap.ok(&format!("FETCH {of} BODYSTRUCTURE"));
    let behind = structures("101:*");
    let among = structures("2:100");
    // A part of them is in memory now, and then all that fit.
    assert_eq!(structures("2:*"), among + behind);
    assert_eq!(structures("50:150,200"), structures("50:150,200"));
    let one = "* 100 FETCH (BODYSTRUCTURE (\"text\" \"plain\"))".len();
    assert!(among + behind > messages * one, "{among} and {behind}");
    let found = imap.ok("SEARCH SUBJECT words");
    assert!(found > 3 * messages, "{found} octets of numbers");
    let more = server.peak() - before;
    println!("256 headers of 180 KiB: {} KiB more", more >> 10);
    assert!(more <= LATELY + (48 << 20), "{more} octets more");
    server.serves_others();
}

#[test]
fn many_large_messages_share_one_budget() {
    let server = Server::start("[limits]\nmemory = \"16MiB\"\n[deadlines]\nanswer = \"2s\"\n");
    let before = server.memory();
    let body = "x".repeat(76) + "\r\n";
    let body = body.repeat((6 << 20) / body.len());
    let mut senders: Vec<_> = (0..24)
        .map(|_| {
            let mut smtp = server.connect("smtp");
            smtp.say("EHLO a");
            for command in ["MAIL FROM:<a@b.test>", "RCPT TO:<ada@hostile.test>", "DATA"] {
                smtp.say(command);
            }
            smtp.write(b"Subject: large\r\n\r\n");
            smtp
        })
        .collect();
    for sender in &mut senders {
        sender.write(body.as_bytes());
        sender.write(b".\r\n");
    }
    let replies: Vec<_> = senders
        .iter_mut()
        .map(super::client::Client::reply)
        .collect();
    // Each is taken, or told to come back: never more at a time than fits.
    let good = |reply: &String| reply.starts_with("250") || reply.starts_with("45");
    assert!(replies.iter().all(good), "{replies:?}");
    assert!(
        replies.iter().any(|reply| reply.starts_with("250")),
        "{replies:?}"
    );
    server.holds_no_more_than(before, (16 << 20) + TAKEN, "24 messages of 6 MiB in 16 MiB");
    drop(senders);
    server.serves_others();
}
