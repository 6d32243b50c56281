//! One server of the directory: how a connection to it is made, and for how long it is left alone after it failed.
//!
//! **Bounds.** One deadline over connecting, TLS and bind: a process that is stopped still has its kernel take connections, and says nothing.
//! A server that failed is not asked for [`SHORTEST`], doubled with each failure up to [`LONGEST`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::bind::{BindDn, BindPassword, Bound, bind};
use super::error::{LdapError, Step};
use crate::config;

/// How long a server that failed is left alone.
const SHORTEST: Duration = Duration::from_secs(1);
/// The same after many failures in a row.
const LONGEST: Duration = Duration::from_secs(15);

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    /// `ldaps://HOST[:PORT]`
    pub(super) url: String,
    rest: Mutex<Option<Rest>>,
}

/// A server that is left alone.
#[derive(Clone, Debug)]
struct Rest {
    until: Instant,
    pause: Duration,
    why: String,
}

/// As whom a connection is opened.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) dn: BindDn,
    pub(super) password: BindPassword,
}

impl Server {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            rest: Mutex::default(),
        }
    }

    /// Why it is left alone, if it is.
    pub(super) fn resting(&self) -> Option<String> {
        let rest = self.rest();
        let rest = rest.as_ref()?;
        (rest.until > Instant::now()).then(|| rest.why.clone())
    }

    /// Notes a failure.
    pub(super) fn failed(&self, error: &LdapError) {
        let mut rest = self.rest();
        let pause = rest.as_ref().map_or(SHORTEST, |it| it.pause * 2);
        let pause = pause.min(LONGEST);
        tracing::warn!(server = %self.url, %error, ?pause, "directory server failed");
        *rest = Some(Rest {
            until: Instant::now() + pause,
            pause,
            why: error.to_string(),
        });
    }

    /// Notes that it answers.
    pub(super) fn works(&self) {
        if self.rest().take().is_some() {
            tracing::info!(server = %self.url, "directory server is back");
        }
    }

    /// Opens a connection, as somebody if that is given. The connection's own work runs on the runtime of the caller.
    pub(super) async fn open(
        &self,
        tls: &Arc<ClientConfig>,
        identity: Option<&Identity>,
        patience: Duration,
    ) -> Result<Ldap, LdapError> {
        let deadline = Instant::now() + patience;
        let failed = |step, why: String| LdapError::Server {
            server: self.url.clone(),
            step,
            why,
        };
        let late = || "no answer in time".to_owned();
        let (host, port) = self.address();
        let connect = TcpStream::connect((host, port));
        let stream = match timeout_at(deadline, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(Step::Connect, error.to_string())),
            Err(_) => return Err(failed(Step::Connect, late())),
        };
        // Questions are small and each waits for its answer.
        let stream = stream
            .set_nodelay(true)
            .and_then(|()| stream.into_std())
            .map_err(|error| failed(Step::Connect, error.to_string()))?;
        let settings = LdapConnSettings::new()
            .set_config(tls.clone())
            .set_std_stream(ldap3::StdStream::Tcp(stream));
        let opened = LdapConnAsync::with_settings(settings, &self.url);
        let (connection, mut ldap) = match timeout_at(deadline, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(failed(Step::Tls, plain(&error))),
            Err(_) => return Err(failed(Step::Tls, late())),
        };
        let server = self.url.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%server, %error, "directory connection ended");
            }
        });
        if let Some(identity) = identity {
            let bound = bind(&mut ldap, &identity.dn, &identity.password);
            match timeout_at(deadline, bound).await {
                Ok(Ok(Bound::Yes)) => {}
                Ok(Ok(Bound::No(why))) => return Err(failed(Step::Bind, why)),
                Ok(Ok(Bound::Unclear(code))) => {
                    return Err(failed(Step::Bind, code.to_string()));
                }
                Ok(Err(error)) => return Err(failed(Step::Bind, plain(&error))),
                Err(_) => return Err(failed(Step::Bind, late())),
            }
        }
        Ok(ldap)
    }

    /// Host and port of the URL, which the configuration has checked.
    pub(super) fn address(&self) -> (&str, u16) {
        let rest = self.url.strip_prefix("ldaps://").unwrap_or(&self.url);
        let rest = rest.trim_end_matches('/');
        match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().unwrap_or(636)),
            None => (rest, 636),
        }
    }

    fn rest(&self) -> MutexGuard<'_, Option<Rest>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of the innermost error.
pub(super) fn plain(error: &ldap3::LdapError) -> String {
    match error {
        ldap3::LdapError::Io { source } => source.to_string(),
        ldap3::LdapError::ResultRecv { .. } | ldap3::LdapError::OpSend { .. } => {
            "the connection was closed".to_owned()
        }
        other => other.to_string(),
    }
}

/// TLS as the settings want it: certificates verified in full, by a CA of their own or those of the system. Reads files.
pub(super) fn tls(settings: &config::Ldap) -> Result<Arc<ClientConfig>, LdapError> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(file) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                LdapError::Settings(format!("auth.ldap.ca_file: {}: {error}", file.display()))
            };
            let read = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
            if roots.is_empty() {
                return Err(unreadable(&"holds no certificate"));
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
            if roots.is_empty() {
                let message = "the system has no certificates; name those of the directory in auth.ldap.ca_file";
                return Err(LdapError::Settings(message.to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| LdapError::Settings(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_address() {
        for (url, address) in [
            ("ldaps://ldap.example.com", ("ldap.example.com", 636)),
            ("ldaps://ldap.example.com:1636/", ("ldap.example.com", 1636)),
            ("ldaps://127.0.0.1:7", ("127.0.0.1", 7)),
        ] {
            assert_eq!(Server::new(url).address(), address, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_left_alone_longer_each_time() {
        let server = Server::new("ldaps://x");
        let error = LdapError::GivenUp;
        assert_eq!(server.resting(), None);
        for pause in [1, 2, 4, 8, 15, 15] {
            server.failed(&error);
            assert!(server.resting().is_some());
            let almost = Duration::from_secs(pause) - Duration::from_millis(1);
            tokio::time::advance(almost).await;
            assert!(server.resting().is_some(), "{pause}");
            tokio::time::advance(Duration::from_millis(2)).await;
            assert_eq!(server.resting(), None, "{pause}");
        }
        server.works();
        server.failed(&error);
        tokio::time::advance(SHORTEST).await;
        assert_eq!(server.resting(), None, "it begins anew");
    }
}
