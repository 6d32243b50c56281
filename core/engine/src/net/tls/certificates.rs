//! Certificates from files, replaced while connections go on.
//!
//! At each look ([`Certificates::reload`] at SIGHUP, [`Certificates::watch`] every few seconds) files that
//! changed are read again. New handshakes get the new certificate, open connections keep theirs.
//!
//! **Invariants.** A certificate is used only with the key that belongs to it, both as they were at one moment.
//! **On failure** the certificate in use stays in use, and the log says why once, until the files change again.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::x509::Facts;
use crate::config::Certificate;
use crate::telemetry::metrics::{TLS_CERTIFICATE_EXPIRY, TLS_CERTIFICATE_RELOADS};

/// No certificate chain or key is larger.
const FILE_MAX: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds no PEM of the right kind.
    #[error("no {what} in {}", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// Certificate or private key.
        what: &'static str,
    },
    /// A file is not a certificate.
    #[error("malformed certificate in {}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// Files kept changing while they were read.
    #[error("{} is being written", path.display())]
    Changing {
        /// The certificate's.
        path: PathBuf,
    },
    /// The key is of no use, or belongs to another certificate.
    #[error("{} and its key: {source}", path.display())]
    Pair {
        /// The certificate's.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A server needs at least one.
    #[error("no certificate configured")]
    None,
}

/// The certificates of the process, and which of them a client gets.
#[derive(Debug)]
pub struct Certificates {
    pairs: Mutex<Vec<Pair>>,
    table: ArcSwap<Table>,
}

/// One certificate as last seen on disk and as in use.
#[derive(Debug)]
struct Pair {
    files: Certificate,
    /// The state of the files at the last look, be it that they were taken or refused.
    seen: Option<Stamps>,
    used: Loaded,
}

#[derive(Clone, Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    facts: Arc<Facts>,
}

/// What is looked up at a handshake.
#[derive(Debug)]
struct Table {
    all: Vec<Arc<CertifiedKey>>,
    names: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

/// Whether to read files that look as they did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    Changed,
    All,
}

impl Certificates {
    /// Reads all of them. The first is for clients that ask for no name, or for an unknown one.
    pub fn load(files: Vec<Certificate>) -> Result<Arc<Self>, CertificateError> {
        if files.is_empty() {
            return Err(CertificateError::None);
        }
        let pairs = files
            .into_iter()
            .map(|files| {
                let (used, seen) = read_pair(&files)?;
                Ok(Pair {
                    files,
                    seen: Some(seen),
                    used,
                })
            })
            .collect::<Result<Vec<_>, CertificateError>>()?;
        report(&pairs);
        Ok(Arc::new(Self {
            table: ArcSwap::from_pointee(Table::new(&pairs)),
            pairs: Mutex::new(pairs),
        }))
    }

    /// Reads all files again. Blocks.
    ///
    /// # Errors
    /// The first certificate that could not be replaced, and why; the others were.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.look(Look::All)
    }

    /// Looks every so often whether files changed, until `drain`.
    pub async fn watch(self: Arc<Self>, every: Duration, drain: CancellationToken) {
        while drain.run_until_cancelled(sleep(every)).await.is_some() {
            let this = self.clone();
            // What went wrong is in the log.
            let _ = tokio::task::spawn_blocking(move || this.look(Look::Changed)).await;
        }
    }

    /// When the first of them expires, in seconds of Unix time.
    pub fn expiry(&self) -> Option<i64> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.iter().map(|pair| pair.used.facts.not_after).min()
    }

    #[cfg(test)]
    pub(super) fn uses(&self, certificate: &CertificateDer<'_>) -> bool {
        let table = self.table.load();
        table.all.iter().any(|key| key.cert[0] == *certificate)
    }

    /// Whether a changed file was taken or refused; `None` if nothing changed.
    #[cfg(test)]
    pub(super) fn look_for_changes(&self) -> Option<bool> {
        let seen = || {
            let pairs = self.pairs.lock().expect("no panic");
            pairs.iter().map(|pair| pair.seen).collect::<Vec<_>>()
        };
        let before = seen();
        let outcome = self.look(Look::Changed);
        (before != seen()).then_some(outcome.is_ok())
    }

    fn look(&self, look: Look) -> Result<(), CertificateError> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = Ok(());
        let mut replaced = false;
        for pair in pairs.iter_mut() {
            let there = Stamps::look(&pair.files).ok();
            if look == Look::Changed && there == pair.seen {
                continue;
            }
            let path = pair.files.certificate.display();
            match read_pair(&pair.files) {
                Ok((loaded, seen)) => {
                    tracing::info!(certificate = %path, "certificate replaced");
                    pair.used = loaded;
                    pair.seen = Some(seen);
                    replaced = true;
                    outcome_total("replaced");
                }
                Err(error) => {
                    tracing::error!(%error, "certificate not replaced, the old one stays");
                    pair.seen = there;
                    outcome_total("refused");
                    outcome = outcome.and(Err(error));
                }
            }
        }
        if replaced {
            self.table.store(Arc::new(Table::new(&pairs)));
        }
        report(&pairs);
        outcome
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let named = hello.server_name().and_then(|name| table.named(name));
        let usable =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        // The work does not depend on what was asked for: two look-ups, never an entry made.
        let named = named.into_iter().flatten().find(usable);
        named.or_else(|| table.all.iter().find(usable)).cloned()
    }
}

impl Table {
    fn new(pairs: &[Pair]) -> Self {
        let mut names: HashMap<String, Vec<_>> = HashMap::new();
        for pair in pairs {
            for name in &pair.used.facts.names {
                let keys = names.entry(name.clone()).or_default();
                keys.push(pair.used.key.clone());
            }
        }
        Self {
            all: pairs.iter().map(|pair| pair.used.key.clone()).collect(),
            names,
        }
    }

    /// Those for this name, or for all names beside it (RFC 9525 section 6.3).
    fn named(&self, name: &str) -> Option<&Vec<Arc<CertifiedKey>>> {
        let name = name.to_ascii_lowercase();
        self.names.get(&name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        })
    }
}

fn outcome_total(outcome: &'static str) {
    metrics::counter!(TLS_CERTIFICATE_RELOADS, "outcome" => outcome).increment(1);
}

/// Tells monitors when certificates expire; again at each look, as they may have come later than we.
fn report(pairs: &[Pair]) {
    for pair in pairs {
        let path = pair.files.certificate.display().to_string();
        #[allow(clippy::cast_precision_loss)] // exact for a quarter of a billion years
        let expiry = pair.used.facts.not_after as f64;
        metrics::gauge!(TLS_CERTIFICATE_EXPIRY, "certificate" => path).set(expiry);
    }
}

/// What tells that a file is another than before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamps {
    certificate: Stamp,
    key: Stamp,
}

impl Stamps {
    fn look(files: &Certificate) -> Result<Self, CertificateError> {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).map_err(|source| unread(path, source))?;
            Ok(Stamp::from(metadata))
        };
        Ok(Self {
            certificate: stamp(&files.certificate)?,
            key: stamp(&files.key)?,
        })
    }
}

/// Both files as they were at one moment.
fn read_pair(files: &Certificate) -> Result<(Loaded, Stamps), CertificateError> {
    for _ in 0..5 {
        let before = Stamps::look(files)?;
        let certificate = read(&files.certificate)?;
        let key = read(&files.key)?;
        if Stamps::look(files)? == before {
            return Ok((load(files, &certificate, &key)?, before));
        }
    }
    Err(CertificateError::Changing {
        path: files.certificate.clone(),
    })
}

fn load(files: &Certificate, certificate: &[u8], key: &[u8]) -> Result<Loaded, CertificateError> {
    let path = &files.certificate;
    let missing = |path: &Path, what| CertificateError::Missing {
        path: path.to_owned(),
        what,
    };
    let malformed = || CertificateError::Malformed { path: path.clone() };
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| malformed())?;
    let first = chain.first().ok_or_else(|| missing(path, "certificate"))?;
    let facts = Facts::read(first).ok_or_else(malformed)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| missing(&files.key, "private key"))?;
    let key = CertifiedKey::from_der(chain, key, &super::provider()).map_err(|source| {
        CertificateError::Pair {
            path: path.clone(),
            source,
        }
    })?;
    Ok(Loaded {
        key: Arc::new(key),
        facts: Arc::new(facts),
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let mut octets = Zeroizing::new(Vec::with_capacity(16 * 1024));
    let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut octets));
    read.map_err(|source| unread(path, source))?;
    Ok(octets)
}

fn unread(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Names and expiry of the certificate in a PEM file, if it holds one with its key.
pub(super) fn inspect(files: &Certificate) -> Result<Facts, CertificateError> {
    let (loaded, _) = read_pair(files)?;
    Ok(Facts::clone(&loaded.facts))
}
