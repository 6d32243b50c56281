//! Clients that guess passwords, and logins that break off.

use crate::client::Client;
use crate::server::Server;

/// More memory than an attack may leave behind: the allocator's own, and what the first such request brings with it.
const SLACK: u64 = 12 << 20;
/// CPU time of one guess: a debug build on a busy machine hashes for half a second.
const GUESS: u64 = 100;

#[test]
fn attack_05_exchanges_that_break_off_leave_nothing() {
    let server = Server::start("");
    // As long as a line of an exchange may be, and longer.
    let answers = ["QUFB".repeat(3000), "QUFB".repeat(300_000), "*".to_owned()];
    let attack = |rounds: usize| {
        for round in 0..rounds {
            for (service, begin) in [
                ("imap", "a AUTHENTICATE LOGIN\r\n"),
                ("pop3", "AUTH LOGIN\r\n"),
                ("submission", "EHLO a\r\nAUTH LOGIN\r\n"),
            ] {
                let mut client = server.connect(service);
                client.write(begin.as_bytes());
                // Every other one is gone before it is answered.
                if round % 2 == 0 {
                    client.write(answers[round % 3].as_bytes());
                    client.write(b"\r\n");
                    client.line();
                }
            }
        }
    };
    attack(6);
    let before = server.memory();
    attack(100);
    server.holds_no_more_than(before, SLACK, "exchanges that break off");
    server.serves_others();
}

#[test]
fn attack_34_guesses_at_once_are_as_many_as_guesses_in_a_row() {
    let server = Server::start(
        "[auth.throttle]\nfailures_per_account = 5\nfailures_per_ip = 1000\n[limits]\nconnections_before_login_per_ip = 200\n",
    );
    let cpu = server.cpu();
    for user in ["eve@hostile.test", "nobody@hostile.test"] {
        let mut clients: Vec<Client> = (0..60).map(|_| server.connect("pop3")).collect();
        for client in &mut clients {
            client.write(format!("USER {user}\r\n").as_bytes());
            client.line();
        }
        for (n, client) in clients.iter_mut().enumerate() {
            client.write(format!("PASS guess{n}\r\n").as_bytes());
        }
        let said: Vec<String> = clients.iter_mut().map(Client::line).collect();
        let looked_at = said.iter().filter(|it| it.starts_with("-ERR [AUTH]"));
        let too_many = said
            .iter()
            .filter(|it| it.starts_with("-ERR [LOGIN-DELAY]"));
        let counts = (looked_at.count(), too_many.count());
        assert_eq!(counts, (5, 55), "{user}: {said:?}");
    }
    let cost = server.cpu() - cpu;
    assert!(cost < 10 * GUESS + 200, "{cost} hundredths of a second");
    // Nobody else waits for it.
    server.serves_others();
}

#[test]
fn attack_34_a_banned_address_costs_no_greeting_and_no_handshake() {
    let server = Server::start("[auth.throttle]\nfailures_per_ip = 4\n");
    for n in 0..4 {
        let mut client = server.connect("imap");
        let (tagged, _) = client.imap(&format!("LOGIN u{n}@hostile.test guess"));
        assert!(tagged.starts_with("NO [AUTHENTICATIONFAILED]"), "{tagged}");
    }
    let words = "too many failed logins from your address, try again later";
    let said = Client::connect(server.port("imap")).rest();
    assert_eq!(said, format!("* BYE [UNAVAILABLE] {words}\r\n"));
    let (cpu, before) = (server.cpu(), server.memory());
    for _ in 0..300 {
        assert_eq!(Client::connect(server.port("imaps")).rest(), "");
    }
    let cost = server.cpu() - cpu;
    assert!(cost < 300, "{cost} hundredths of a second");
    server.holds_no_more_than(before, SLACK, "who is banned");
    let refused =
        server.metric("postrider_connections_refused_total{service=\"imaps\",reason=\"banned\"}");
    assert_eq!(refused, 300);
    // Mail from its server comes in.
    let mut smtp = server.connect("smtp");
    smtp.say("EHLO client.example");
    let reply = smtp.send("ada@hostile.test", b"Subject: honest\r\n\r\nHello.\r\n");
    assert!(reply.starts_with("250"), "{reply}");
}
