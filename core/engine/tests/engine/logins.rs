//! Logins over every protocol: names that are none, exchanges that break off, guessers, hashes of other servers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postrider::auth::{Answer, Request, Resolver};
use postrider::config::{Config, Service};
use postrider::engine::Parts;
use postrider_storage::index::{Change, SetPassword, Timestamp};

use super::client::Client;
use super::house::{ADA, BOB, House, PASSWORD, hash, until};

/// How a client says who it is.
#[derive(Clone, Copy, Debug)]
enum Way {
    ImapQuoted,
    ImapLiteral,
    ImapPlain,
    Pop3User,
    Pop3Plain,
    SmtpPlain,
    SmtpLogin,
}

const WAYS: [Way; 7] = [
    Way::ImapQuoted,
    Way::ImapLiteral,
    Way::ImapPlain,
    Way::Pop3User,
    Way::Pop3Plain,
    Way::SmtpPlain,
    Way::SmtpLogin,
];

impl Way {
    fn service(self) -> Service {
        match self {
            Self::ImapQuoted | Self::ImapLiteral | Self::ImapPlain => Service::Imap,
            Self::Pop3User | Self::Pop3Plain => Service::Pop3,
            Self::SmtpPlain | Self::SmtpLogin => Service::Submission,
        }
    }

    /// Whether the way can carry such a name at all; a line end in a line is the end of that line.
    fn carries(self, name: &[u8]) -> bool {
        let line = matches!(self, Self::ImapQuoted | Self::Pop3User);
        !line || !name.iter().any(|octet| matches!(octet, b'\r' | b'\n'))
    }

    /// Tries to log in; what decided it, none if the server closed.
    async fn log_in(self, house: &House, name: &[u8], password: &str) -> Option<String> {
        // The client before has left its maildrop, and the server may not have seen that yet.
        until("the maildrop is free", async || {
            let said = self.log_in_once(house, name, password).await;
            let busy = said.as_ref().is_some_and(|it| it.contains("[IN-USE]"));
            (!busy).then_some(said)
        })
        .await
    }

    async fn log_in_once(self, house: &House, name: &[u8], password: &str) -> Option<String> {
        let mut client = house.connect(self.service()).await;
        let plain = [b"\0", name, b"\0", password.as_bytes()].concat();
        let plain = BASE64.encode(plain);
        let steps: Vec<Vec<u8>> = match self {
            Self::ImapQuoted => {
                vec![
                    [
                        b"x LOGIN \"",
                        name,
                        b"\" \"",
                        password.as_bytes(),
                        b"\"\r\n",
                    ]
                    .concat(),
                ]
            }
            Self::ImapLiteral => {
                let first = format!("x LOGIN {{{}+}}\r\n", name.len());
                let second = format!(" {{{}+}}\r\n{password}\r\n", password.len());
                vec![[first.as_bytes(), name, second.as_bytes()].concat()]
            }
            Self::ImapPlain => vec![format!("x AUTHENTICATE PLAIN {plain}\r\n").into_bytes()],
            Self::Pop3User => vec![
                [b"USER ", name, b"\r\n"].concat(),
                format!("PASS {password}\r\n").into_bytes(),
            ],
            Self::Pop3Plain => vec![format!("AUTH PLAIN {plain}\r\n").into_bytes()],
            Self::SmtpPlain => vec![
                b"EHLO client.example\r\n".to_vec(),
                format!("AUTH PLAIN {plain}\r\n").into_bytes(),
            ],
            Self::SmtpLogin => vec![
                b"EHLO client.example\r\n".to_vec(),
                format!("AUTH LOGIN {}\r\n", BASE64.encode(name)).into_bytes(),
                format!("{}\r\n", BASE64.encode(password)).into_bytes(),
            ],
        };
        let mut said = None;
        for step in steps {
            client.write(&step).await;
            said = match self.service() {
                Service::Submission => Some(client.reply().await),
                _ => client.try_line().await,
            };
        }
        said
    }

    fn is_in(self, said: Option<&str>) -> bool {
        let yes = match self.service() {
            Service::Submission => "235 ",
            Service::Pop3 => "+OK",
            _ => "x OK",
        };
        said.is_some_and(|it| it.starts_with(yes))
    }
}

#[actix_rt::test]
async fn attack_7_a_name_that_is_none_is_refused_whole_over_every_protocol() {
    let house = House::new().await;
    house.add("j\u{fc}rgen@example.test", None).await;
    let long = "x".repeat(10_000);
    // Whoever cut one of them would find Ada.
    let tails: [&[u8]; 8] = [
        b"\0",
        b"\0@elsewhere.test",
        b"\r",
        b"\n",
        b"\r\nx OK",
        b"\xff",
        b"\xc3",
        long.as_bytes(),
    ];
    for way in WAYS {
        for tail in tails {
            let name = [ADA.as_bytes(), tail].concat();
            if !way.carries(&name) {
                continue;
            }
            let said = way.log_in(&house, &name, PASSWORD).await;
            assert!(!way.is_in(said.as_deref()), "{way:?} {tail:?}: {said:?}");
        }
        // Nobody else minds, and a name beyond ASCII is one, however its letters are put together.
        for name in [
            ADA,
            "j\u{fc}rgen@example.test",
            "ju\u{308}rgen@example.test",
        ] {
            let said = way.log_in(&house, name.as_bytes(), PASSWORD).await;
            assert!(way.is_in(said.as_deref()), "{way:?} {name}: {said:?}");
        }
    }
    house.stop().await;
}

#[actix_rt::test]
async fn attack_4_and_5_exchanges_that_break_off_hurt_nobody_else() {
    let house = House::new().await;
    let mut good = house.imap(BOB).await;
    let huge = "QUFB".repeat(1 << 18);
    for (service, hello, begin) in [
        (Service::Imap, None, "x AUTHENTICATE "),
        (Service::Pop3, None, "AUTH "),
        (Service::Submission, Some("EHLO client.example"), "AUTH "),
    ] {
        for mechanism in ["PLAIN", "LOGIN"] {
            for answer in ["!!!!", "QUFB=", "=", "*", "", huge.as_str()] {
                let mut client = house.connect(service).await;
                if let Some(hello) = hello {
                    client.smtp(hello).await;
                }
                client
                    .write(format!("{begin}{mechanism}\r\n").as_bytes())
                    .await;
                let challenge = client.line().await;
                assert!(challenge.starts_with(['+', '3']), "{service}: {challenge}");
                client.write(format!("{answer}\r\n").as_bytes()).await;
                let said = client.line().await;
                let refused = ["x BAD", "x NO", "* BAD", "* BYE", "-ERR", "5", "421"];
                let what = &answer[..answer.len().min(8)];
                assert!(
                    refused.iter().any(|it| said.starts_with(it)),
                    "{service} {mechanism} {what:?}: {said}"
                );
            }
            // One that hangs up in the middle.
            let mut client = house.connect(service).await;
            client
                .write(format!("{begin}{mechanism}\r\n").as_bytes())
                .await;
            drop(client);
        }
    }
    assert!(good.imap("NOOP").await.is_ok());
    for way in WAYS {
        let said = way.log_in(&house, ADA.as_bytes(), PASSWORD).await;
        assert!(way.is_in(said.as_deref()), "{way:?}: {said:?}");
    }
    house.stop().await;
}

/// A connection through the proxy in front, before its greeting.
pub(super) async fn through_the_proxy(house: &House, service: Service, client: &str) -> Client {
    let mut connection = Client::connect(house.port(service)).await;
    let header = match client.parse() {
        Ok(IpAddr::V4(client)) => format!("PROXY TCP4 {client} 198.51.100.1 4711 143\r\n"),
        Ok(IpAddr::V6(client)) => format!("PROXY TCP6 {client} 2001:db8::1 4711 143\r\n"),
        Err(_) => "PROXY UNKNOWN\r\n".to_owned(),
    };
    connection.write(header.as_bytes()).await;
    connection
}

#[actix_rt::test]
async fn attack_34_a_banned_client_is_not_let_in_and_the_proxy_before_it_always_is() {
    let change = |config: &mut Config| {
        config.auth.throttle.failures_per_ip = 3;
        for listener in &mut config.listeners {
            if listener.service != Service::Metrics {
                listener.proxy_protocol_from = vec!["127.0.0.0/8".parse().unwrap()];
            }
        }
    };
    let house = House::with(change, Parts::default()).await;
    for (guesser, neighbour) in [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::7", "2001:db8:1:3::7"),
    ] {
        let mut inside = through_the_proxy(&house, Service::Imap, guesser).await;
        inside.line().await;
        assert!(
            inside
                .imap(&format!("LOGIN {BOB} {PASSWORD}"))
                .await
                .is_ok()
        );
        for n in 0..3 {
            let mut client = through_the_proxy(&house, Service::Imap, guesser).await;
            client.line().await;
            let answer = client.imap(&format!("LOGIN u{n}@example.test wrong")).await;
            assert!(
                answer.tagged.starts_with("NO [AUTHENTICATIONFAILED]"),
                "{answer:?}"
            );
        }
        // The door stays shut, in the words of each protocol, and where TLS would come first without a word.
        for (service, words) in [
            (
                Service::Imap,
                "* BYE [UNAVAILABLE] too many failed logins from your address",
            ),
            (
                Service::Pop3,
                "-ERR [SYS/TEMP] too many failed logins from your address",
            ),
            (
                Service::Submission,
                "421 4.7.0 localhost too many failed logins",
            ),
            (Service::Imaps, ""),
        ] {
            let mut client = through_the_proxy(&house, service, guesser).await;
            let said = client.rest().await;
            assert!(
                said.starts_with(words) && said.is_empty() == words.is_empty(),
                "{service}: {said}"
            );
        }
        // Whoever is in stays in; mail from its server is taken.
        assert!(inside.imap("NOOP").await.is_ok());
        let mut mx = through_the_proxy(&house, Service::Smtp, guesser).await;
        assert!(mx.line().await.starts_with("220 "));
        // Nobody else is banned: not its neighbour, not the proxy for its own checks.
        let mut other = through_the_proxy(&house, Service::Imap, neighbour).await;
        other.line().await;
        assert!(other.imap(&format!("LOGIN {ADA} {PASSWORD}")).await.is_ok());
        let mut check = through_the_proxy(&house, Service::Imap, "").await;
        assert!(check.line().await.starts_with("* OK "));
    }
    house.stop().await;
}

#[actix_rt::test]
async fn hashes_of_dovecot_let_in_and_become_bcrypt() {
    let change = |config: &mut Config| config.auth.upgrade_hashes = true;
    let house = House::with(change, Parts::default()).await;
    // Made of this password by `doveadm pw`.
    let password = "correct h\u{f6}rse";
    let hashes = [
        "{SHA512-CRYPT}$6$Z/p.H5klg3lVLEWn$rkpCcE4UAkNivOFBwwiq7MDawe/R96EhVMIRuYwoThdT8p/lMp2M14JwQ2cXgkopOG5moWgWC52Pv/0ioxLGj1",
        "{SSHA512.HEX}f83c5f1e4e37a4fcd56363bee6783992d3bd8007f788300f0e29ce7bb08c5b81800ce63b875a51de231e16b605045f77b763f4cc772615f611b0a11a19761705eae6e2ea",
        "{PLAIN}correct h\u{f6}rse",
    ];
    for (n, hash) in hashes.into_iter().enumerate() {
        let email = format!("old{n}@example.test");
        let admin = house.admin();
        admin.add_user(&email, hash.to_owned(), None).await.unwrap();
        let way = WAYS[1 + 2 * n];
        let said = way.log_in(&house, email.as_bytes(), "correct horse").await;
        assert!(!way.is_in(said.as_deref()), "{email}: {said:?}");
        let kept = admin.find_user(&email).await.unwrap().password;
        assert_eq!(
            kept.as_deref(),
            Some(hash),
            "a wrong password changes nothing"
        );
        for _ in 0..2 {
            let said = way.log_in(&house, email.as_bytes(), password).await;
            assert!(way.is_in(said.as_deref()), "{email}: {said:?}");
            let kept = admin.find_user(&email).await.unwrap().password;
            assert!(kept.is_some_and(|it| it.starts_with("$2y$12$")), "{email}");
        }
    }
    house.stop().await;
}

/// Says yes to whoever comes, and notes that it was asked.
#[derive(Default)]
struct YesMan(AtomicUsize);

#[async_trait::async_trait]
impl Resolver for YesMan {
    fn name(&self) -> &'static str {
        "yes_man"
    }

    async fn authenticate(&self, _: Request<'_>) -> Answer {
        self.0.fetch_add(1, Ordering::SeqCst);
        Answer::Granted
    }
}

#[actix_rt::test]
async fn attack_30_an_empty_password_reaches_no_resolver() {
    let yes_man = Arc::new(YesMan::default());
    let parts = Parts {
        resolvers: vec![yes_man.clone()],
        ..Parts::default()
    };
    let house = House::with(|_| {}, parts).await;
    for way in WAYS {
        let said = way.log_in(&house, ADA.as_bytes(), "").await;
        assert!(!way.is_in(said.as_deref()), "{way:?}: {said:?}");
        assert!(said.is_some(), "{way:?}: it is told");
    }
    assert_eq!(yes_man.0.load(Ordering::SeqCst), 0);
    let said = Way::ImapPlain.log_in(&house, ADA.as_bytes(), "x").await;
    assert!(Way::ImapPlain.is_in(said.as_deref()), "{said:?}");
    house.stop().await;
}

/// Accounts with hashes of no scheme that is verified, damaged ones, and ones that would cost too much.
const UNVERIFIABLE: [(&str, &str); 3] = [
    ("old@example.test", "{DES-CRYPT}rl0uE0wi8c0Gs"),
    ("odd@example.test", "{SHA512-CRYPT}$6$damaged"),
    (
        "dear@example.test",
        "$2y$20$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ),
];

#[actix_rt::test]
async fn attack_33_every_refusal_has_the_same_words() {
    let house = House::new().await;
    house.add("off@example.test", None).await;
    let admin = house.admin();
    admin
        .set_user_active("off@example.test", false)
        .await
        .unwrap();
    // Of schemes that nobody verifies; taken over with the table, since the control program refuses them.
    for (user, hash) in UNVERIFIABLE {
        house.add(user, None).await;
        let account = admin.find_user(user).await.unwrap();
        let set = Change::SetPassword(SetPassword {
            account: account.id,
            password: Some(hash.to_owned()),
            only_if: None,
            now: Timestamp(0),
        });
        house.running.index().change(set).await.unwrap();
    }
    for way in WAYS {
        let mut words = Vec::new();
        for (user, password) in [
            (ADA, "wrong"),
            ("off@example.test", PASSWORD),
            (UNVERIFIABLE[0].0, PASSWORD),
            (UNVERIFIABLE[1].0, PASSWORD),
            (UNVERIFIABLE[2].0, PASSWORD),
            ("nobody@example.test", PASSWORD),
            ("ada@elsewhere.test", PASSWORD),
            ("ada", PASSWORD),
        ] {
            let said = way.log_in(&house, user.as_bytes(), password).await;
            words.push(said.expect("it is told"));
        }
        words.dedup();
        assert_eq!(words.len(), 1, "{way:?}: {words:?}");
    }
    house.stop().await;
}

#[actix_rt::test]
async fn attack_36_a_password_of_73_octets_is_not_that_of_72() {
    let house = House::new().await;
    let longest = "x".repeat(72);
    house
        .admin()
        .set_password(ADA, hash(&longest))
        .await
        .unwrap();
    for way in WAYS {
        for (password, right) in [
            (longest.clone(), true),
            (longest.clone() + "x", false),
            (longest[..71].to_owned(), false),
            (longest.clone() + "\0", false),
        ] {
            if matches!(way, Way::ImapQuoted) && password.contains('\0') {
                continue;
            }
            let said = way.log_in(&house, ADA.as_bytes(), &password).await;
            let octets = password.len();
            assert_eq!(
                way.is_in(said.as_deref()),
                right,
                "{way:?} {octets}: {said:?}"
            );
        }
    }
    house.stop().await;
}
