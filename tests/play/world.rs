//! A whole server with an index and a store in memory, and what a transcript finds there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use postrider::admin::Admin;
use postrider::config::{Bind, Config, Listener, Service};
use postrider::engine::{Engine, Parts, Running};
use postrider::storage::Error;
use postrider::storage::blob::{Fault, MemoryStore, Operation};
use postrider::storage::index::{AuthType, MemoryIndex};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use crate::client::{Client, Transport};
use crate::script::Step;

/// What the server calls itself.
pub const HOSTNAME: &str = "mail.example.test";
/// bcrypt's lowest: here nobody guesses.
const COST: u32 = 4;
/// How long the server may take to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// Failures of a store that is away: more than anybody tries.
const AWAY: usize = 100;

/// A server.
pub struct World {
    running: Running,
    index: Arc<MemoryIndex>,
    store: MemoryStore,
    roots: RootCertStore,
    /// Who can log in.
    passwords: Vec<(String, String)>,
    data: TempDir,
}

impl World {
    /// Starts a server with all services.
    pub async fn start(transport: Transport) -> Result<Self, String> {
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut config = Config::embedded(data.path());
        config.hostname = HOSTNAME.to_owned();
        config.auth.upgrade_hashes = false;
        let everybody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.listeners = Service::ALL
            .into_iter()
            .filter(|service| *service != Service::Metrics)
            .map(|service| Listener {
                service,
                bind: match transport {
                    Transport::Memory => Vec::new(),
                    Transport::Socket => vec![Bind::Tcp(everybody)],
                },
                proxy_protocol_from: Vec::new(),
                plaintext_login: false,
                program: None,
            })
            .collect();
        let index = Arc::new(MemoryIndex::new());
        let store = MemoryStore::new();
        let parts = Parts {
            index: Some(index.clone()),
            store: Some(Arc::new(store.clone())),
            ..Parts::default()
        };
        let started = Engine::start(config, parts).await;
        let running = started.map_err(|error| error.to_string())?;
        let certificate = data.path().join("tls/self-signed.crt");
        let certificate =
            CertificateDer::from_pem_file(certificate).map_err(|it| it.to_string())?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| error.to_string())?;
        Ok(Self {
            running,
            index,
            store,
            roots,
            passwords: Vec::new(),
            data,
        })
    }

    /// A client of a service.
    pub async fn connect(&self, transport: Transport, service: Service) -> Result<Client, String> {
        Client::connect(&self.running, transport, service, self.roots.clone()).await
    }

    /// Brings about what a step says is there.
    pub async fn set_up(&mut self, step: &Step) -> Result<(), String> {
        let admin = Admin::new(self.index.clone());
        match step {
            Step::Account {
                email,
                password,
                quota,
            } => {
                domain_of(&admin, email).await?;
                let hash = bcrypt::hash(password, COST).map_err(|error| error.to_string())?;
                let added = admin.add_user(email, hash, *quota).await;
                added.map_err(|error| error.to_string())?;
                self.passwords.push((email.clone(), password.clone()));
            }
            Step::Alias {
                source,
                destination,
            } => {
                domain_of(&admin, source).await?;
                let added = admin.add_alias(source, destination).await;
                added.map_err(|error| error.to_string())?;
            }
            Step::Deliver { email, message } => self.append(email, message).await?,
            _ => {}
        }
        Ok(())
    }

    /// Puts a message into INBOX, octet by octet as it is: over IMAP, because LMTP adds its trace.
    async fn append(&self, email: &str, message: &[u8]) -> Result<(), String> {
        let known = self.passwords.iter().find(|(known, _)| known == email);
        let (_, password) = known.ok_or("no such account")?;
        let mut client = self.connect(Transport::Memory, Service::Imaps).await?;
        client.line().await?;
        let login = format!("l LOGIN {email} {password}\r\n");
        client.say(login.as_bytes()).await?;
        tagged(&mut client, "l").await?;
        let append = format!("a APPEND INBOX {{{}+}}\r\n", message.len());
        let append = [append.as_bytes(), message, b"\r\n"].concat();
        client.say(&append).await?;
        tagged(&mut client, "a").await?;
        client.close().await
    }

    /// Breaks a neighbour. `false`: this one cannot be broken from outside.
    pub fn fault(&self, neighbour: &str, how: &str) -> Result<bool, String> {
        match (neighbour, how) {
            ("auth" | "index", "unavailable") => {
                let error = Error::Unavailable("broken by the script".into());
                self.index.break_with(Some(error));
            }
            ("blob", "unavailable") => {
                for operation in [Operation::Put, Operation::Get, Operation::Meta] {
                    for _ in 0..AWAY {
                        self.store.fault(operation, Fault::Fail);
                    }
                }
            }
            ("blob", "gone") => {
                for key in self.store.keys() {
                    self.store.lose(&key);
                }
            }
            ("auth", "throttled")
            | ("maildrop", "in-use" | "unavailable")
            | ("spool", "unavailable") => {
                return Ok(false);
            }
            _ => return Err("unknown fault".to_owned()),
        }
        Ok(true)
    }

    /// Stops it, all of it.
    pub async fn stop(self) {
        self.running.drain(PATIENCE).await;
        drop(self.data);
    }
}

/// Makes an address's domain if it is not there.
async fn domain_of(admin: &Admin, address: &str) -> Result<(), String> {
    let (_, domain) = address.rsplit_once('@').ok_or("an address has a domain")?;
    let domains = admin.domains().await.map_err(|error| error.to_string())?;
    if domains.iter().any(|known| known.name == domain) {
        return Ok(());
    }
    let added = admin.add_domain(domain, AuthType::Local, None).await;
    added.map(drop).map_err(|error| error.to_string())
}

/// Reads up to the tagged response, which must be good.
async fn tagged(client: &mut Client, tag: &str) -> Result<(), String> {
    while let Some(line) = client.line().await? {
        if let Some(response) = line.strip_prefix(tag) {
            return match response.starts_with(" OK") {
                true => Ok(()),
                false => Err(format!("set up: {line}")),
            };
        }
    }
    Err("set up: the server has closed".to_owned())
}
