//! Clients that send without end: lines, literals, parentheses, commands.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::{PLAIN, Server};

/// More memory than a flood may leave behind: the allocator's own, and what the first such request brings with it.
const SLACK: u64 = 12 << 20;

#[test]
fn attack_02_a_literal_of_2_63_is_refused_before_it_comes() {
    let server = Server::start("");
    let before = server.memory();
    for octets in [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
    ] {
        let mut client = server.connect("imap");
        let (tagged, _) = client.imap(&format!("LOGIN {{{octets}}}"));
        assert_eq!(tagged, "BAD [TOOBIG] command too long");
        // Who does not wait is not waited for.
        client.write(format!("b LOGIN {{{octets}+}}\r\n").as_bytes());
        assert_eq!(client.line(), "* BYE literal too large");
        assert_eq!(client.rest(), "");
        let mut client = server.imap();
        let (tagged, _) = client.imap(&format!("APPEND INBOX {{{octets}}}"));
        assert!(
            tagged.starts_with("NO [TOOBIG]") || tagged.starts_with("BAD"),
            "{tagged}"
        );
        client.write(format!("c APPEND INBOX {{{octets}+}}\r\n").as_bytes());
        assert!(client.rest().ends_with("* BYE literal too large\r\n"));
        // A chunk is announced the same way.
        let mut client = server.connect("smtp");
        client.say("EHLO a");
        client.say("MAIL FROM:<a@b.test>");
        client.say("RCPT TO:<ada@hostile.test>");
        client.write(format!("BDAT {octets} LAST\r\n").as_bytes());
        let said = client.rest();
        assert_eq!(said, "552 5.3.4 chunk too large, closing\r\n");
    }
    server.holds_no_more_than(before, SLACK, "literals of 2^63");
    server.serves_others();
    assert!(server.reached("literal") >= 6 && server.reached("command") >= 3);
}

#[test]
fn attack_01_many_literals_in_one_command_hold_one_command() {
    let server = Server::start("");
    let before = server.memory();
    // Before login, many at a time, each with as much as it may.
    let mut clients: Vec<_> = (0..50).map(|_| server.connect("imap")).collect();
    for client in &mut clients {
        client.write(b"a LOGIN ");
        let mut refused = false;
        for _ in 0..100 {
            client.write(b"{1000}\r\n");
            let line = client.line();
            if line.starts_with("a BAD [TOOBIG]") {
                refused = true;
                break;
            }
            assert_eq!(line, "+ OK");
            client.write(&[b'x'; 1000]);
            client.write(b" ");
        }
        assert!(refused, "100 KiB of a command before login");
    }
    // 16 KiB each, and its buffer.
    server.holds_no_more_than(before, SLACK + 50 * (64 << 10), "literals before login");
    drop(clients);
    server.serves_others();
}

#[test]
fn attack_07_an_endless_line_is_thrown_away_as_it_comes() {
    let server = Server::start("");
    let before = server.memory();
    for service in PLAIN {
        let mut client = server.connect(service);
        let piece = [b'x'; 64 << 10];
        for _ in 0..512 {
            assert!(client.write(&piece), "{service} closed in the middle");
        }
        server.holds_no_more_than(before, SLACK, service);
        // The end of the line is its answer, and the next line is one again.
        client.write(b"\r\n");
        let answer = client.line();
        let told = [
            "500 5.5.2 line too long",
            "* BAD [TOOBIG] line too long",
            "-ERR line too long",
        ];
        assert!(told.contains(&answer.as_str()), "{service}: {answer}");
        client.write(b"QUIT\r\n");
        let next = client.line();
        assert!(
            ["221", "QUIT BAD", "+OK"]
                .iter()
                .any(|it| next.starts_with(it)),
            "{service}: {next}"
        );
    }
    assert!(server.reached("line") >= 5);
    server.serves_others();
}

#[test]
fn attack_03_parentheses_cost_what_they_weigh() {
    let server = Server::start("");
    let before = server.memory();
    let flood = |client: &mut Client, count: usize| {
        let (tagged, _) = client.imap(&format!("SEARCH {}", "(".repeat(count)));
        tagged
    };
    // Before login.
    let mut client = server.connect("imap");
    assert_eq!(flood(&mut client, 4000), "BAD SEARCH is not valid now");
    client.write(&b"(".repeat(1 << 20));
    client.write(b"\r\n");
    assert_eq!(client.line(), "* BAD [TOOBIG] line too long");
    // After it, as deep as a line may be; and the work grows with the line, not faster.
    let mut client = server.imap();
    client.ok("SELECT INBOX");
    let mut cost = |count: usize| {
        let cpu = server.cpu();
        for _ in 0..400 {
            assert_eq!(
                flood(&mut client, count),
                "BAD expected fewer nested levels"
            );
            client.ok("NOOP");
        }
        server.cpu() - cpu
    };
    cost(1000);
    let (one, four) = (cost(15_000), cost(60_000));
    println!("400 searches: {one} and {four} hundredths of a second for n and 4n parentheses");
    assert!(
        four <= 8 * one.max(25),
        "{four} for four times what cost {one}"
    );
    server.holds_no_more_than(before, SLACK, "parentheses");
    assert!(server.reached("nesting") >= 400);
    server.serves_others();
}

#[test]
fn attack_06_pipelined_commands_wait_in_the_socket_of_who_does_not_read() {
    let server = Server::start(
        "[deadlines]\nwrite = \"4s\"\n[limits]\nchatter = 1000000\nerrors = 100000\n",
    );
    let before = server.memory();
    for (service, command, logged_in) in [
        ("imap", "a NOOP\r\n", false),
        ("imap", "a CAPABILITY\r\n", true),
        ("smtp", "NOOP\r\n", false),
        ("lmtp", "NOOP\r\n", false),
        ("pop3", "CAPA\r\n", false),
    ] {
        let client = match logged_in {
            true => server.imap(),
            false => server.connect(service),
        };
        let block = command.repeat((64 << 10) / command.len());
        let mut sent = 0;
        let start = Instant::now();
        client.socket().set_nonblocking(true).expect("a socket");
        let mut stuck_since = None;
        // Fifty MiB, if it takes them; it must not.
        let closed = loop {
            match client.socket().write(block.as_bytes()) {
                Ok(0) => break true,
                Ok(count) => {
                    sent += count;
                    stuck_since = None;
                    assert!(
                        sent < 50 << 20,
                        "{service} reads on although nobody takes its answers"
                    );
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let since = *stuck_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > Duration::from_secs(1)
                        && since.elapsed() < Duration::from_millis(1100)
                    {
                        server.holds_no_more_than(before, SLACK, service);
                        server.serves_others();
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(_) => break true,
            }
            if start.elapsed() > Duration::from_secs(45) {
                break false;
            }
        };
        println!("{service}: {} KiB were taken before the door", sent >> 10);
        assert!(closed, "{service}: who does not read keeps its place");
    }
    server.holds_no_more_than(before, SLACK, "pipelined commands");
    assert!(server.metric("postrider_connection_timeouts_total") >= 4);
    server.serves_others();
}

#[test]
fn errors_and_chatter_close_the_door() {
    let server = Server::start("[limits]\nerrors = 5\nerrors_before_login = 2\nchatter = 3\n");
    let count = |service: &str, command: &str| {
        let mut client = server.connect(service);
        let mut answers = 0;
        while client.write(command.as_bytes()) && client.try_line().is_some() {
            answers += 1;
            assert!(answers < 50, "{service} answers for ever");
        }
        answers
    };
    assert_eq!(count("smtp", "X\r\n"), 5);
    assert_eq!(count("pop3", "X\r\n"), 5);
    // And the BYE.
    assert_eq!(count("imap", "a X\r\n"), 3);
    assert_eq!(count("smtp", "NOOP\r\n"), 8);
    assert!(server.reached("errors") >= 4 && server.reached("chatter") >= 1);
    server.serves_others();
}

#[test]
fn attack_07_a_message_without_end_ends_all_the_same() {
    let server = Server::start("[limits]\nmessage_size = \"64KiB\"\n");
    let before = server.memory();
    for (service, hello) in [("smtp", "EHLO a"), ("lmtp", "LHLO a")] {
        let mut client = server.connect(service);
        client.say(hello);
        for command in ["MAIL FROM:<a@b.test>", "RCPT TO:<ada@hostile.test>", "DATA"] {
            client.say(command);
        }
        // Too large, but it ends: it is answered.
        let line = "x".repeat(998) + "\r\n";
        client.write(line.repeat(128).as_bytes());
        assert_eq!(client.say("."), "552 5.3.4 message too large");
        for command in ["MAIL FROM:<a@b.test>", "RCPT TO:<ada@hostile.test>", "DATA"] {
            client.say(command);
        }
        let block = line.repeat(64);
        let mut sent = 0;
        while client.write(block.as_bytes()) {
            sent += block.len();
            assert!(sent < 64 << 20, "{service} listens for ever");
        }
        assert!(
            sent > 16 * (64 << 10),
            "{service}: {sent} octets were too many"
        );
    }
    server.holds_no_more_than(before, SLACK, "messages without end");
    assert_eq!(server.reached("literal"), 2);
    server.serves_others();
}
