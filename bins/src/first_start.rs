//! The first start of the embedded default: a domain and a mailbox to try it with, and lines that say how.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use postrider::{
    auth::password::{hash_password, make_password},
    config::{Config, Secret},
};
use postrider_storage::index::{AuthType, DEFAULT_QUOTA};
use serde_json::{Value, json};

use crate::{
    Failure, Report,
    open::{self, Missing},
};

/// The first domain; nobody can own it (RFC 2606 section 2).
const DOMAIN: &str = "example.test";
/// Its mailbox.
const EMAIL: &str = "admin@example.test";
/// Another address of it, which every domain must have (RFC 5321 section 4.5.1).
const POSTMASTER: &str = "postmaster@example.test";

/// What was there, or was made.
pub struct Welcome {
    /// The password made up at the first start; none at later ones.
    password: Option<Secret<String>>,
    domains: usize,
    users: usize,
}

/// Makes the first domain and mailbox if there is no domain yet.
///
/// # Errors
/// A database that cannot be opened.
pub async fn prepare(config: &Config) -> Result<Welcome, Failure> {
    let admin = open::admin(config, Missing::Make).await?;
    let domains = admin.domains().await?.len();
    if domains > 0 {
        let users = admin.users(None).await?.len();
        return Ok(Welcome {
            password: None,
            domains,
            users,
        });
    }
    let no_hash = |error: postrider::auth::password::VerifyError| Failure::new(error.to_string());
    let password = make_password().map_err(no_hash)?;
    let hash = hash_password(&password).map_err(no_hash)?;
    admin.add_domain(DOMAIN, AuthType::Local, None).await?;
    admin.add_user(EMAIL, hash, Some(DEFAULT_QUOTA)).await?;
    admin.add_alias(POSTMASTER, EMAIL).await?;
    Ok(Welcome {
        password: Some(password),
        domains: 1,
        users: 1,
    })
}

impl Welcome {
    /// What is said once all listeners are ready.
    pub fn report(&self, config: &Config, ports: &BTreeMap<String, u16>) -> Report {
        let mut document = json!({
            "data_dir": config.data_dir,
            "ports": ports,
            "first_start": self.password.is_some(),
        });
        if let Some(password) = &self.password {
            document["domain"] = json!(DOMAIN);
            document["email"] = json!(EMAIL);
            document["password"] = Value::String(password.expose().clone());
        }
        Report {
            text: self.text(&config.data_dir, ports),
            json: document,
            good: true,
        }
    }

    fn text(&self, data_dir: &Path, ports: &BTreeMap<String, u16>) -> String {
        let data = data_dir.display();
        let mut text = format!(
            "Postrider {} is ready. Everything it keeps lies in {data}\n\n",
            env!("CARGO_PKG_VERSION")
        );
        // Writing to a String cannot fail.
        let _ = match &self.password {
            Some(password) => writeln!(
                text,
                "  This is the first start: it made the domain {DOMAIN} with one mailbox.\n    \
                 address   {EMAIL}\n    \
                 password  {}\n  \
                 The password is shown only now. Another one: postrider --data {data} user passwd {EMAIL}\n",
                password.expose()
            ),
            None => writeln!(
                text,
                "  Everything is as it was: {}, {}. A forgotten password: postrider --data {data} user passwd EMAIL\n",
                crate::report::count(self.domains as u64, "domain", "domains"),
                crate::report::count(self.users as u64, "user", "users"),
            ),
        };
        self.ports(&mut text, ports);
        self.examples(&mut text, data_dir, ports);
        text
    }

    fn ports(&self, text: &mut String, ports: &BTreeMap<String, u16>) {
        const LINES: [(&str, &str, &str); 9] = [
            ("imap", "IMAP", "STARTTLS"),
            ("imaps", "IMAP", "TLS"),
            ("pop3", "POP3", "STLS"),
            ("pop3s", "POP3", "TLS"),
            ("submission", "mail from users", "STARTTLS"),
            ("submissions", "mail from users", "TLS"),
            ("smtp", "mail from servers", "STARTTLS offered"),
            ("lmtp", "local delivery", "LMTP"),
            ("metrics", "/metrics /health", "HTTP"),
        ];
        for (service, what, how) in LINES {
            if let Some(port) = ports.get(service) {
                let _ = writeln!(text, "  {what:<18} 127.0.0.1:{port:<6} {how}");
            }
        }
    }

    fn examples(&self, text: &mut String, data_dir: &Path, ports: &BTreeMap<String, u16>) {
        let secret = self.password.as_ref().map_or("PASSWORD", |it| it.expose());
        let data = data_dir.display();
        text.push_str("\n  Try it (the certificate is self-signed, hence -k):\n");
        if let Some(port) = ports.get("smtp") {
            let _ = writeln!(
                text,
                "    swaks --server 127.0.0.1:{port} --from you@example.org --to {EMAIL}"
            );
        }
        if let Some(port) = ports.get("submissions") {
            let _ = writeln!(
                text,
                "    printf 'From: {EMAIL}\\r\\nTo: {EMAIL}\\r\\nSubject: hello\\r\\n\\r\\nhello\\r\\n' | curl -k --url smtps://127.0.0.1:{port} \\\n        \
                 --user '{EMAIL}:{secret}' --mail-from {EMAIL} --mail-rcpt {EMAIL} --upload-file -"
            );
        }
        if let Some(port) = ports.get("imaps") {
            let _ = writeln!(
                text,
                "    curl -k --url 'imaps://127.0.0.1:{port}/INBOX;MAILINDEX=1' --user '{EMAIL}:{secret}'"
            );
        }
        let _ = writeln!(
            text,
            "\n  Make it yours: postrider --data {data} domain add example.com\n  Stop it with Ctrl-C."
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider::auth::password::verify_password;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_first_start_makes_a_mailbox_and_the_second_keeps_everything() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::embedded(&folder.path().join("data"));
        let ports = BTreeMap::from([("imaps".to_owned(), 40993), ("smtp".to_owned(), 40025)]);
        let first = prepare(&config).await.expect("a new server");
        let password = first.password.clone().expect("made up");
        let report = first.report(&config, &ports);
        assert_eq!(report.json["email"], EMAIL);
        assert_eq!(report.json["password"], password.expose().as_str());
        assert_eq!(report.json["ports"]["imaps"], 40993);
        assert!(
            report
                .text
                .contains(&format!("password  {}\n", password.expose()))
        );
        assert!(report.text.contains("swaks --server 127.0.0.1:40025 "));
        assert!(report.text.contains("imaps://127.0.0.1:40993/"));
        assert!(
            !report.text.contains("smtps://"),
            "what does not listen is not named"
        );

        let admin = open::admin(&config, Missing::Refuse).await.expect("there");
        let hash = admin
            .find_user(EMAIL)
            .await
            .expect("there")
            .password
            .expect("a hash");
        assert_eq!(verify_password(&hash, &password), Ok(true));
        assert_eq!(admin.aliases(None).await.expect("there").len(), 1);

        let second = prepare(&config).await.expect("a server that is there");
        assert!(second.password.is_none());
        let report = second.report(&config, &ports);
        assert!(
            report
                .text
                .contains("Everything is as it was: 1 domain, 1 user."),
            "{}",
            report.text
        );
        assert!(report.json.get("password").is_none() && report.json["first_start"] == false);
        let kept = admin.find_user(EMAIL).await.expect("there").password;
        assert_eq!(kept, Some(hash));
    }
}
