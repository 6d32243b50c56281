//! Names with a place for a number: `user{n}@example.test`.

/// A name in which `{n}` stands for a number.
#[derive(Clone, Debug)]
pub struct Pattern(String);

impl Pattern {
    const PLACE: &'static str = "{n}";

    /// The name with the number in its place.
    pub fn name(&self, n: u64) -> String {
        self.0.replace(Self::PLACE, &n.to_string())
    }

    /// The name for the `index`th of things that share `users` names, counted from 1.
    pub fn shared(&self, index: u64, users: u64) -> String {
        self.name(index % users.max(1) + 1)
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Where and as whom to log in: `imaps://user{n}@example.test:password@127.0.0.1:993`.
#[derive(Clone, Debug)]
pub struct Url {
    /// Whether TLS comes first.
    pub security: Security,
    /// The login names.
    pub user: Pattern,
    /// The password of all of them.
    pub password: String,
    /// `HOST:PORT`.
    pub connect: String,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// TLS from the first octet.
    Implicit,
    /// TLS after STARTTLS.
    StartTls,
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (security, rest) = if let Some(rest) = text.strip_prefix("imaps://") {
            (Security::Implicit, rest)
        } else if let Some(rest) = text.strip_prefix("imap://") {
            (Security::Plain, rest)
        } else {
            return Err("begins with neither imaps:// nor imap://".to_owned());
        };
        // A login name usually is an address: the last "@" is the one before the host.
        let (login, connect) = rest
            .rsplit_once('@')
            .ok_or("has no user:password@ before the host")?;
        let (user, password) = login
            .split_once(':')
            .ok_or("has no password after the user")?;
        if user.is_empty() || connect.is_empty() {
            return Err("has an empty user or host".to_owned());
        }
        Ok(Self {
            security,
            user: Pattern::from(user),
            password: password.to_owned(),
            connect: connect.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_may_hold_an_address_as_user() {
        let url: Url = "imaps://user{n}@example.test:s3cret@127.0.0.1:993"
            .parse()
            .expect("well formed");
        assert_eq!(url.user.name(12), "user12@example.test");
        assert_eq!(url.password, "s3cret");
        assert_eq!(url.connect, "127.0.0.1:993");
        assert_eq!(url.security, Security::Implicit);
    }

    #[test]
    fn an_url_without_its_parts_is_refused() {
        for bad in [
            "http://a:b@c:1",
            "imap://a:b",
            "imap://a@b:1",
            "imap://:b@c:1",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_shared_round_and_round() {
        let pattern = Pattern::from("u{n}");
        let names: Vec<_> = (0..5).map(|n| pattern.shared(n, 2)).collect();
        assert_eq!(names, ["u1", "u2", "u1", "u2", "u1"]);
    }
}
