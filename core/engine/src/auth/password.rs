//! Hashes of passwords: bcrypt at cost 12, made here or by another program (`htpasswd`, `doveadm pw`, PHP).
//!
//! **Invariants.** No password is cut: one that bcrypt cannot take whole (more than 71 octets, a NUL in it) is refused with
//! the reason. A hash that we cannot verify is never "wrong password": that would be a lie to user and operator.
//! **Bounds.** A hash of another program may cost at most [`COST_LIMIT`], since one login computes it.

use bcrypt::{BcryptError, HashParts, Version};
use postrider_protocol::secret::Secret;

/// Cost of the hashes made here: about a quarter of a second of one core.
pub const COST: u32 = 12;
/// Highest cost that is verified: 16 times that.
pub const COST_LIMIT: u32 = 16;
/// Longest password, in octets: what bcrypt takes, less its closing NUL.
pub const PASSWORD_LIMIT: usize = 71;

/// A hash of cost [`COST`] whose password nobody knows: verifying against it takes as long as against a real one.
const NOBODY: &str = "$2y$12$Jx0rPpR8v1m8sPZ0Yd9uKuQk9e1xq1pZ1n5dD8iCwY2vV7sT3bFqK";

/// Letters and digits that nobody mistakes for another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// It has no character.
    #[error("the password is empty")]
    Empty,
    /// It has more octets than bcrypt takes.
    #[error(
        "the password is longer than {PASSWORD_LIMIT} octets, and bcrypt would ignore the rest"
    )]
    TooLong,
    /// It holds what bcrypt takes for its end.
    #[error("the password holds a NUL, and bcrypt would ignore what follows it")]
    Nul,
}

/// Why a hash says neither yes nor no.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// The password is none.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The hash is of a kind that we cannot verify.
    #[error("cannot verify a hash of scheme {0}")]
    UnknownScheme(String),
    /// The hash is damaged.
    #[error("cannot verify a damaged hash: {0}")]
    Malformed(&'static str),
    /// Verifying it would take too long.
    #[error("cannot verify a hash of cost {0}, more than {COST_LIMIT}")]
    TooCostly(u32),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Whether a text can be a password.
///
/// # Errors
/// The reason why not.
pub fn check_password(password: &Secret<String>) -> Result<(), PasswordError> {
    let password = password.expose();
    match () {
        () if password.is_empty() => Err(PasswordError::Empty),
        () if password.len() > PASSWORD_LIMIT => Err(PasswordError::TooLong),
        () if password.contains('\0') => Err(PasswordError::Nul),
        () => Ok(()),
    }
}

/// Makes the hash of a password. Takes a quarter of a second: on a hasher's thread or in a program that only does this.
///
/// # Errors
/// A password that is none; a system without random numbers.
pub fn hash_password(password: &Secret<String>) -> Result<String, VerifyError> {
    check_password(password)?;
    let parts = bcrypt::non_truncating_hash_with_result(password.expose(), COST);
    // `$2y$` is what Dovecot, PHP and crypt(3) know alike.
    let parts = parts.map_err(|error| match error {
        BcryptError::Truncation(_) => VerifyError::Password(PasswordError::TooLong),
        _ => VerifyError::NoRandomness,
    })?;
    Ok(parts.format_for_version(Version::TwoY))
}

/// Whether this is the password of the hash. Takes as long as the hash costs.
///
/// # Errors
/// A password that is none, and a hash that cannot be verified.
pub fn verify_password(hash: &str, password: &Secret<String>) -> Result<bool, VerifyError> {
    let hash = bcrypt_of(hash)?;
    check_password(password)?;
    bcrypt::non_truncating_verify(password.expose(), hash)
        .map_err(|_| VerifyError::Malformed("not the form of bcrypt"))
}

/// Does the work of [`verify_password`] for a user that does not exist, so that time does not tell.
pub fn verify_nobody(password: &Secret<String>) {
    let _ = verify_password(NOBODY, password);
}

/// Whether a hash can be verified here.
///
/// # Errors
/// The reason why not.
pub fn check_hash(hash: &str) -> Result<(), VerifyError> {
    bcrypt_of(hash).map(drop)
}

/// Whether a hash that verifies should be replaced by one of ours at the next login.
pub fn is_weak(hash: &str) -> bool {
    let parts = bcrypt_of(hash)
        .ok()
        .and_then(|it| it.parse::<HashParts>().ok());
    parts.is_none_or(|parts| parts.get_cost() < COST)
}

/// Makes a password up: 20 characters of 32, 100 bits.
///
/// # Errors
/// [`VerifyError::NoRandomness`] if the system has none.
pub fn make_password() -> Result<Secret<String>, VerifyError> {
    let mut octets = [0u8; 20];
    getrandom::fill(&mut octets).map_err(|_| VerifyError::NoRandomness)?;
    let character = |octet: &u8| char::from(ALPHABET[usize::from(*octet) % ALPHABET.len()]);
    Ok(Secret::new(octets.iter().map(character).collect()))
}

/// The bare bcrypt hash, checked. `[ "{" ( "BLF-CRYPT" / "CRYPT" ) "}" ] "$2" ( "a" / "b" / "y" ) "$" cost "$" 53(base64)`
fn bcrypt_of(hash: &str) -> Result<&str, VerifyError> {
    let bare = match hash.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        None => hash,
        Some((scheme, bare)) => {
            let known = ["BLF-CRYPT", "CRYPT"];
            if !known.iter().any(|it| scheme.eq_ignore_ascii_case(it)) {
                return Err(VerifyError::UnknownScheme(format!(
                    "{{{}}}",
                    printable(scheme)
                )));
            }
            bare
        }
    };
    let known = ["$2a$", "$2b$", "$2y$"];
    if !known.iter().any(|it| bare.starts_with(it)) {
        return Err(unknown_crypt(bare));
    }
    let parts: HashParts = bare
        .parse()
        .map_err(|_| VerifyError::Malformed("not the form of bcrypt"))?;
    match parts.get_cost() {
        4..=COST_LIMIT => Ok(bare),
        cost @ 17..=31 => Err(VerifyError::TooCostly(cost)),
        _ => Err(VerifyError::Malformed("impossible cost")),
    }
}

/// Names the kind of a hash without showing any of it that is secret: `$6$` or `$argon2id$`.
fn unknown_crypt(bare: &str) -> VerifyError {
    let kind = bare.strip_prefix('$').and_then(|rest| rest.split_once('$'));
    match kind {
        Some((kind, _)) if kind.len() <= 16 => {
            VerifyError::UnknownScheme(format!("${}$", printable(kind)))
        }
        _ => VerifyError::Malformed("no scheme that we know"),
    }
}

fn printable(name: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    name.chars().filter(good).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    /// Known answers, made by other programs at cost 4 to 5.
    const KNOWN: [(&str, &str); 4] = [
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
            "U*U*",
        ),
        (
            "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
            "U*U*U",
        ),
    ];

    #[test]
    fn verifies_hashes_of_others_under_every_name() {
        for (hash, password) in KNOWN {
            for prefix in ["", "{BLF-CRYPT}", "{CRYPT}", "{blf-crypt}"] {
                let hash = format!("{prefix}{hash}");
                assert_eq!(
                    verify_password(&hash, &secret(password)),
                    Ok(true),
                    "{hash}"
                );
                assert_eq!(verify_password(&hash, &secret("U*")), Ok(false), "{hash}");
                assert!(is_weak(&hash));
            }
        }
    }

    #[test]
    fn makes_hashes_that_verify_and_are_not_weak() {
        let hash = hash_password(&secret("pässwörd")).expect("a good password");
        assert!(hash.starts_with("$2y$12$") && hash.len() == 60, "{hash}");
        assert_eq!(verify_password(&hash, &secret("pässwörd")), Ok(true));
        assert!(!is_weak(&hash));
    }

    #[test]
    fn nothing_is_cut_attack_36() {
        let longest = "x".repeat(PASSWORD_LIMIT);
        assert_eq!(check_password(&secret(&longest)), Ok(()));
        let too_long = secret(&format!("{longest}y"));
        assert_eq!(hash_password(&too_long), Err(PasswordError::TooLong.into()));
        assert_eq!(
            hash_password(&secret("a\0b")),
            Err(PasswordError::Nul.into())
        );
        assert_eq!(hash_password(&secret("")), Err(PasswordError::Empty.into()));
        // A hash that another program made by cutting does not let the rest vary.
        let cut = bcrypt::hash(format!("{longest}yz"), 4).expect("a hash");
        assert_eq!(
            verify_password(&cut, &secret(&format!("{longest}yw"))),
            Err(PasswordError::TooLong.into())
        );
        assert_eq!(
            verify_password(KNOWN[0].0, &secret("U*U\0x")),
            Err(PasswordError::Nul.into())
        );
    }

    #[test]
    fn what_cannot_be_verified_is_not_a_wrong_password() {
        let unknown = |scheme: &str| VerifyError::UnknownScheme(scheme.to_owned());
        for (hash, error) in [
            ("{SHA512-CRYPT}$6$salt$hash", unknown("{SHA512-CRYPT}")),
            ("{CRYPT}$6$salt$hash", unknown("$6$")),
            ("{ARGON2ID}$argon2id$v=19$m=1", unknown("{ARGON2ID}")),
            ("$argon2id$v=19$m=1", unknown("$argon2id$")),
            ("{PLAIN}hunter2", unknown("{PLAIN}")),
            ("{a\nb}x", unknown("{ab}")),
            (
                "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                unknown("$2x$"),
            ),
            ("hunter2", VerifyError::Malformed("no scheme that we know")),
            ("", VerifyError::Malformed("no scheme that we know")),
            (
                "$2y$05$short",
                VerifyError::Malformed("not the form of bcrypt"),
            ),
            (
                "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
                VerifyError::Malformed("not the form of bcrypt"),
            ),
            (
                "$2y$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                VerifyError::Malformed("impossible cost"),
            ),
            (
                "$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                VerifyError::TooCostly(31),
            ),
        ] {
            assert_eq!(verify_password(hash, &secret("x")), Err(error), "{hash}");
            assert!(is_weak(hash));
        }
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let parts: HashParts = NOBODY.parse().expect("a hash");
        assert_eq!(parts.get_cost(), COST);
    }

    #[test]
    fn made_up_passwords_differ_and_can_be_hashed() {
        let (one, other) = (make_password(), make_password());
        let (one, other) = (one.expect("random"), other.expect("random"));
        assert!(one != other && one.expose().len() == 20);
        assert_eq!(check_password(&one), Ok(()));
    }
}
