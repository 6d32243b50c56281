//! From a bound socket to connection actors: one listener actor for each socket and arbiter.
//!
//! **On failure.** A listener that fails is rebuilt on the same socket; its connections live on.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use actix_rt::ArbiterHandle;
use postrider_protocol::imap::session::{self as imap, ImapSession};
use postrider_protocol::imap::syntax::args::Bounds;
use postrider_protocol::lmtp::LmtpSession;
use postrider_protocol::pop3::{self, Pop3Session};
use postrider_protocol::sasl::exchange::PlaintextLogin;
use postrider_protocol::smtp::{self, SmtpSession};
use postrider_protocol::tls::Tls;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::parts::Services;
use crate::actor::{Handle, Restart, Role, Stage, Supervisor};
use crate::config::{ByteCount, Limits, Listener as Settings, Service, TlsRule};
use crate::connection::{
    Asks, Connection, Deadlines, Desk, ImapAsks, Parts, Pop3Asks, Signals, SmtpAsks, Wire,
};
use crate::net::deadline::Pace;
use crate::net::entrance::{Entered, Entrance, Rejected};
use crate::net::limit::{Limiter, Refused};
use crate::net::listener::{Accepted, Socket};
use crate::net::peer::Peer;

/// How often a listener may fail before the process ends.
const RESTART: Restart = Restart {
    limit: 5,
    window: Duration::from_secs(60),
    pause: Duration::from_millis(200),
};
/// How long who is turned away may take to hear why.
const GOODBYE: Duration = Duration::from_secs(2);

/// A connection that is in, before anybody speaks.
struct Came {
    wire: Wire,
    signals: Signals,
    span: tracing::Span,
    work: crate::actor::Work,
}

/// Everything a listener needs for its connections.
pub(super) struct Door {
    settings: Settings,
    entrance: Entrance,
    limiter: Limiter,
    services: Services,
    deadlines: Arc<Deadlines>,
    drain: CancellationToken,
    /// What its connections are called: looked up once.
    connection: Role,
    smtp: Arc<smtp::Config>,
    imap: imap::Config,
    pop3: Arc<pop3::Config>,
}

impl Door {
    pub fn new(
        settings: Settings,
        entrance: Entrance,
        limiter: Limiter,
        services: Services,
        drain: CancellationToken,
    ) -> Self {
        let config = &services.config;
        let plaintext_login = match settings.plaintext_login {
            true => PlaintextLogin::Allowed,
            false => PlaintextLogin::Refused,
        };
        let tls = match settings.service.tls() {
            TlsRule::None => Tls::Absent,
            TlsRule::Offered => Tls::Offered,
            TlsRule::Required => Tls::Required,
            TlsRule::Implicit => Tls::Implicit,
        };
        let message_size = config.limits.message_size.0;
        let smtp = smtp::Config {
            role: match settings.service {
                Service::Submission | Service::Submissions => smtp::Role::Submission,
                _ => smtp::Role::Mx,
            },
            hostname: config.hostname.clone(),
            tls,
            plaintext_login,
            message_size,
            recipients: config.smtp.recipients as usize,
            errors: config.limits.errors,
            chatter: config.limits.chatter,
            // Who has logged in is one of ours, and every recipient is: a report of success can be kept where it is asked for.
            reports: match settings.service {
                Service::Submission | Service::Submissions => smtp::Reports::Offered,
                _ => smtp::Reports::Absent,
            },
            ..smtp::Config::default()
        };
        let imap = imap::Config {
            hostname: config.hostname.clone(),
            tls,
            plaintext_login,
            limits: imap_limits(&config.limits),
        };
        let pop3 = pop3::Config {
            hostname: config.hostname.clone(),
            tls,
            plaintext_login,
            errors: config.limits.errors,
            // Each account may have its own; a day is the least.
            expire: pop3::Expire::DaysAtLeast(1),
        };
        let times = &config.deadlines;
        let logs_in = !matches!(settings.service, Service::Smtp | Service::Lmtp);
        let deadlines = Deadlines {
            greeting: match logs_in {
                true => times.greeting,
                false => times.command,
            },
            line: times.line,
            command: times.command,
            idle: times.idle,
            login: logs_in.then_some(times.login),
            reading: Pace {
                stall: times.data,
                floor: config.limits.slowest.into(),
            },
            writing: Pace {
                stall: times.write,
                floor: config.limits.slowest.into(),
            },
        };
        Self {
            smtp: Arc::new(smtp),
            imap,
            pop3: Arc::new(pop3),
            settings,
            entrance,
            limiter,
            services,
            deadlines: Arc::new(deadlines),
            drain,
            connection: Role::new("connection"),
        }
    }

    /// Starts a listener actor on an arbiter.
    pub fn open(
        self: &Arc<Self>,
        socket: Socket,
        arbiter: ArbiterHandle,
        supervisor: &Supervisor,
    ) -> Handle<Listener> {
        let door = self.clone();
        let role = format!("listener_{}", self.settings.service);
        supervisor
            .on(arbiter)
            .supervise(role.as_str(), 1, RESTART, move || Listener {
                door: door.clone(),
                socket: socket.clone(),
            })
    }

    /// What is spoken behind it.
    pub fn service(&self) -> Service {
        self.settings.service
    }

    /// Lets one connection in and starts its actor on this arbiter.
    pub async fn serve(self: Arc<Self>, accepted: Accepted) {
        let Some(work) = self.services.stages.drain(Stage::Connections).work() else {
            return;
        };
        match self.entrance.enter(accepted).await {
            Ok(entered) => self.begin(entered, work),
            Err(Rejected::Limit {
                refused, stream, ..
            }) => {
                if let Some(mut stream) = stream {
                    let line = self.refusal(refused);
                    let say = async {
                        stream.write_all(line.as_bytes()).await?;
                        stream.shutdown().await
                    };
                    // It was turned away; whether it hears why is its own affair.
                    let _ = tokio::time::timeout(GOODBYE, say).await;
                }
            }
            Err(Rejected::Proxy(_) | Rejected::Handshake(_)) => {}
        }
    }

    fn begin(&self, entered: Entered, work: crate::actor::Work) {
        let Entered {
            stream,
            peer,
            permit,
            starttls,
        } = entered;
        let signals = Signals::default();
        let span = self.span(&peer);
        let wire = Wire::new(stream, peer, starttls, self.deadlines.clone());
        let desk = Desk::new(
            self.services.clone(),
            self.settings.service.name(),
            signals.clone(),
            permit,
        );
        let came = Came {
            wire,
            signals,
            span,
            work,
        };
        match self.settings.service {
            Service::Imap | Service::Imaps => {
                self.start(
                    came,
                    ImapSession::new(self.imap.clone()),
                    ImapAsks::new(desk),
                );
            }
            Service::Pop3 | Service::Pop3s => {
                self.start(
                    came,
                    Pop3Session::new(self.pop3.clone()),
                    Pop3Asks::new(desk),
                );
            }
            Service::Lmtp => {
                self.start(
                    came,
                    LmtpSession::new(self.smtp.clone()),
                    SmtpAsks::new(desk),
                );
            }
            Service::Smtp | Service::Submission | Service::Submissions => {
                self.start(
                    came,
                    SmtpSession::new(self.smtp.clone()),
                    SmtpAsks::new(desk),
                );
            }
            Service::Metrics => {}
        }
    }

    fn start<A: Asks>(&self, came: Came, session: A::Session, asks: A) {
        let Came {
            wire,
            signals,
            span,
            work,
        } = came;
        let parts = Parts {
            wire,
            session,
            asks,
        };
        let drain = self.services.stages.drain(Stage::Connections);
        let connection = Connection::new(parts, signals, span, drain, work);
        Supervisor::new(crate::actor::Escalation::log_only()).once(
            &self.connection,
            4,
            move |_| connection,
        );
    }

    fn span(&self, peer: &Peer) -> tracing::Span {
        tracing::info_span!("connection", %peer, service = %self.settings.service)
    }

    /// What a peer that is one too many hears, in the words of its protocol.
    fn refusal(&self, refused: Refused) -> String {
        match self.settings.service {
            Service::Imap | Service::Imaps => format!("* BYE [UNAVAILABLE] {refused}\r\n"),
            Service::Pop3 | Service::Pop3s => format!("-ERR [SYS/TEMP] {refused}\r\n"),
            _ => format!("421 4.7.0 {} {refused}\r\n", self.services.config.hostname),
        }
    }
}

/// The bounds of IMAP sessions.
fn imap_limits(limits: &Limits) -> imap::Limits {
    let octets = |count: ByteCount| usize::try_from(count.0).unwrap_or(usize::MAX);
    imap::Limits {
        line_before_login: octets(limits.line_before_login),
        line: octets(limits.line),
        command_before_login: octets(limits.command_before_login),
        command: octets(limits.command),
        message: limits.message_size.0,
        errors_before_login: limits.errors_before_login,
        errors: limits.errors,
        login_failures: limits.login_failures,
        syntax: Bounds {
            nesting: limits.nesting as usize,
            elements: limits.elements as usize,
            search_keys: limits.search_keys as usize,
        },
    }
}

/// A listening socket on one arbiter.
pub(super) struct Listener {
    door: Arc<Door>,
    socket: Socket,
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let (door, socket) = (self.door.clone(), self.socket.clone());
        let accept = async move {
            let serve = |accepted| {
                actix_rt::spawn(door.clone().serve(accepted));
            };
            socket
                .accept(door.settings.service, &door.limiter, &door.drain, serve)
                .await
        };
        context.spawn(accept.into_actor(self).map(|result, _, context| {
            if let Err(error) = result {
                tracing::error!(%error, "listener cannot use its socket");
            }
            context.stop();
        }));
    }
}
