//! The certificate of the first start, signed by itself.
//!
//! It lies under the data directory: `tls/self-signed.pem` with the key (mode 0600), and
//! `tls/self-signed.crt`, a copy without it, for clients that shall trust it.
//!
//! **Invariants.** Key and certificate are one file that appears at once and whole. Programs that start at the
//! same time end with the same certificate. A good one is kept; one that is about to expire, or does not name the
//! host, is replaced.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::certificates::inspect;
use crate::config::Certificate;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// As long as clients accept.
const LIFETIME: Duration = DAY.saturating_mul(825);

/// How long it must still be good at a start.
const RESERVE: Duration = DAY.saturating_mul(30);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The host name fits in no certificate.
    #[error("no certificate can name this host: {0}")]
    Make(#[from] rcgen::Error),
}

/// The certificate of this host, made if there is none that is good.
///
/// Blocks; called at start.
pub fn self_signed(data_dir: &Path, hostname: &str) -> Result<Certificate, SelfSignedError> {
    let hostname = hostname.to_ascii_lowercase();
    let directory = data_dir.join("tls");
    let path = directory.join("self-signed.pem");
    let files = Certificate {
        certificate: path.clone(),
        key: path.clone(),
    };
    let write = |path: &Path, source| SelfSignedError::Write {
        path: path.to_owned(),
        source,
    };
    let there = path.exists();
    if there {
        match inspect(&files) {
            Ok(facts) if facts.names.contains(&hostname) && is_fresh(facts.not_after) => {
                return Ok(files);
            }
            Ok(_) => tracing::info!(hostname, "self-signed certificate replaced"),
            Err(error) => tracing::warn!(%error, "self-signed certificate replaced"),
        }
    }
    let (certificate, key) = make(&hostname)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|source| write(&directory, source))?;
    let kept = if there {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let both = [key.as_bytes(), certificate.as_bytes()].concat();
    let mine = put(&path, &both, 0o600, kept).map_err(|source| write(&path, source))?;
    if mine {
        let copy = path.with_extension("crt");
        put(&copy, certificate.as_bytes(), 0o644, Existing::Replace)
            .map_err(|source| write(&copy, source))?;
    }
    Ok(files)
}

fn is_fresh(not_after: i64) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(not_after).is_ok_and(|end| Duration::from_secs(end) > now + RESERVE)
}

/// Certificate and key, PEM.
fn make(hostname: &str) -> Result<(String, String), rcgen::Error> {
    let mut names = vec![hostname, "localhost", "127.0.0.1", "::1"];
    names.dedup();
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, hostname);
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + LIFETIME).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// What to do with a file that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Existing {
    Keep,
    Replace,
}

/// Puts a whole file in place, durably. Says whether it is ours.
fn put(path: &Path, octets: &[u8], mode: u32, existing: Existing) -> io::Result<bool> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    // What a crash left would keep its permissions.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    let mut place = || {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(octets)?;
        file.sync_all()?;
        match existing {
            Existing::Replace => fs::rename(&temporary, path).map(|()| true),
            Existing::Keep => match fs::hard_link(&temporary, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                linked => linked.map(|()| true),
            },
        }
    };
    let placed = place();
    let _ = fs::remove_file(&temporary);
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    placed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_second_start_keeps_what_the_first_one_made() {
        let data = tempfile::tempdir().unwrap();
        let files = self_signed(data.path(), "Mail.Example.com").unwrap();
        assert_eq!(mode(&files.key), 0o600);
        assert_eq!(mode(files.key.parent().unwrap()), 0o700);
        let facts = inspect(&files).unwrap();
        assert_eq!(facts.names, ["mail.example.com", "localhost"]);
        assert!(is_fresh(facts.not_after));
        let made = fs::read(&files.key).unwrap();

        assert_eq!(self_signed(data.path(), "mail.example.com").unwrap(), files);
        assert_eq!(fs::read(&files.key).unwrap(), made);

        let copy = fs::read_to_string(files.certificate.with_extension("crt")).unwrap();
        assert_eq!(mode(&files.certificate.with_extension("crt")), 0o644);
        assert!(!copy.contains("PRIVATE"));
        assert!(String::from_utf8(made).unwrap().ends_with(&copy));
        let left: Vec<_> = fs::read_dir(data.path().join("tls")).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_broken_or_foreign_one_is_replaced() {
        let data = tempfile::tempdir().unwrap();
        let files = self_signed(data.path(), "old.example.com").unwrap();
        self_signed(data.path(), "new.example.com").unwrap();
        let names = inspect(&files).unwrap().names;
        assert_eq!(names, ["new.example.com", "localhost"]);

        fs::write(&files.key, "half a certificate").unwrap();
        self_signed(data.path(), "new.example.com").unwrap();
        assert_eq!(inspect(&files).unwrap().names, names);
        assert_eq!(mode(&files.key), 0o600);
    }

    #[test]
    fn programs_that_start_together_agree() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("certificate.pem");
        assert!(put(&path, b"first", 0o600, Existing::Keep).unwrap());
        assert!(!put(&path, b"second", 0o600, Existing::Keep).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert!(put(&path, b"third", 0o600, Existing::Replace).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"third");
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("tls"), "a file").unwrap();
        let error = self_signed(data.path(), "mail.example.com").unwrap_err();
        assert!(matches!(error, SelfSignedError::Write { .. }), "{error}");
        let other = tempfile::tempdir().unwrap();
        let error = self_signed(other.path(), "m\u{e4}il.example.com").unwrap_err();
        assert!(matches!(error, SelfSignedError::Make(_)), "{error}");
    }

    #[test]
    fn one_that_expires_soon_is_not_fresh() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = |time: Duration| i64::try_from(time.as_secs()).unwrap();
        assert!(is_fresh(at(now + 31 * DAY)));
        assert!(!is_fresh(at(now + 29 * DAY)));
        assert!(!is_fresh(-1));
    }
}
