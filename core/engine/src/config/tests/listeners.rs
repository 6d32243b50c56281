//! Listeners: in place of the default ones, and those that cannot be.

use super::*;

#[test]
fn listeners_take_the_place_of_the_default_ones() {
    let config = good(
        "[[listener]]\nservice = \"imaps\"\nbind = [\"0.0.0.0:993\", \"[::]:993\"]\nproxy_protocol_from = \"10.0.0.10\"\n\
         [[listener]]\nservice = \"lmtp\"\nbind = \"/run/postrider/lmtp.sock\"\n\
         [[listener]]\nservice = \"imap\"\nbind = \"127.0.0.1:0\"\nplaintext_login = true\n\
         [[listener]]\nservice = \"imap\"\nbind = \"127.0.0.1:0\"\n",
    );
    assert_eq!(config.listeners.len(), 4);
    assert!(config.listeners[0].expects_proxy_header("10.0.0.10".parse().expect("an address")));
    assert!(!config.listeners[0].expects_proxy_header("10.0.0.11".parse().expect("an address")));
    assert_eq!(
        config.listeners[1].bind,
        [Bind::Unix("/run/postrider/lmtp.sock".into())]
    );
    assert!(config.listeners[2].plaintext_login && !config.listeners[3].plaintext_login);
    assert_eq!(config.listeners_of(Program::Imapd).count(), 3);
    assert_eq!(config.listeners_of(Program::Smtpd).count(), 1);
    assert_eq!(config.listeners_of(Program::Pop3d).count(), 0);
}

#[test]
fn metrics_have_a_section_or_a_listener() {
    let service = |config: &Config| {
        let metrics = config
            .listeners
            .iter()
            .filter(|it| it.service == Service::Metrics);
        metrics.map(|it| it.bind[0].to_string()).collect::<Vec<_>>()
    };
    let config = good("[metrics]\nbind = \"127.0.0.1:9\"");
    assert_eq!(
        (config.listeners.len(), service(&config)),
        (9, vec!["127.0.0.1:9".to_owned()])
    );
    let config = good(
        "[metrics]\nbind = \"127.0.0.1:9\"\n[[listener]]\nservice = \"imaps\"\nbind = \"127.0.0.1:0\"",
    );
    assert_eq!(
        (config.listeners.len(), service(&config)),
        (2, vec!["127.0.0.1:9".to_owned()])
    );
    let config = good("[[listener]]\nservice = \"imaps\"\nbind = \"127.0.0.1:0\"");
    assert!(service(&config).is_empty());
    assert_eq!(
        problems(
            "[metrics]\nbind = \"127.0.0.1:9\"\n[[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:0\""
        ),
        ["2:8: metrics.bind: there is a [[listener]] of service \"metrics\" too; keep one of them"]
    );
    let config = good(
        "[[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:1\"\nprogram = \"imapd\"\n\
         [[listener]]\nservice = \"metrics\"\nbind = \"127.0.0.1:2\"\nprogram = \"smtpd\"\n",
    );
    assert_eq!(config.listeners_of(Program::Imapd).count(), 1);
    assert_eq!(config.listeners_of(Program::Postrider).count(), 0);
}

#[test]
fn listeners_that_cannot_be_are_refused() {
    assert_eq!(
        problems(
            "[[listener]]\nservice = \"imaps\"\nbind = \"0.0.0.0:993\"\n\
             [[listener]]\nservice = \"pop3s\"\nbind = [\"127.0.0.1:993\", \"[::]:993\"]\n\
             [[listener]]\nservice = \"imaps\"\nbind = \"/run/imap.sock\"\nplaintext_login = true\nprogram = \"pop3d\"\n\
             [[listener]]\nbind = []\nproxy_protocol_from = [\"0.0.0.0/0\"]\n\
             [[listener]]\nservice = \"smtp\"\n"
        ),
        [
            "6:9: listener.bind: 127.0.0.1:993 is taken by the imaps listener of line 3 (0.0.0.0:993)",
            "9:8: listener.bind: only lmtp can listen on a unix socket, imaps cannot",
            "10:19: listener.plaintext_login: means nothing for imaps; it is for submission, imap and pop3",
            "11:11: listener.program: pop3d does not serve imaps",
            "12:1: listener.service is missing; say what it speaks, such as \"imaps\"",
            "12:1: listener.bind is empty; say where it listens, such as \"0.0.0.0:993\"",
            "15:1: listener.bind is missing; say where it listens, such as \"0.0.0.0:993\"",
        ]
    );
    assert_eq!(
        warnings(
            "[[listener]]\nservice = \"imap\"\nbind = \"0.0.0.0:143\"\nplaintext_login = true\n\
             [[listener]]\nservice = \"lmtp\"\nbind = \"0.0.0.0:24\"\n"
        ),
        [
            "4:19: warning: listener.plaintext_login: passwords cross the network in the clear unless a proxy in front has ended the TLS",
            "7:8: warning: listener.bind: 0.0.0.0:24 lets other hosts deliver by lmtp, which knows neither login nor TLS; use a unix socket or a loopback address",
        ]
    );
}
