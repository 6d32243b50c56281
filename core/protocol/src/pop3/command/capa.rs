//! CAPA: what we can (RFC 2449 section 5, RFC 2595 section 4, RFC 3206, RFC 5034, RFC 6856).

use super::{ANY, Access, Args, LINE, Spec, Step};
use crate::pop3::config::Expire;
use crate::pop3::response::Response;
use crate::pop3::session::{Pop3Session, State};
use crate::sasl::offered;
use crate::tls::Secrecy;

pub(super) const SPEC: Spec = Spec {
    name: "CAPA",
    states: ANY,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    args.none()?;
    let before_login = session.state() == State::Authorization;
    let expire = match session.expire {
        Expire::Never => "EXPIRE NEVER".to_owned(),
        Expire::Days(days) => format!("EXPIRE {days}"),
        Expire::DaysAtLeast(days) => format!("EXPIRE {days} USER"),
    };
    let mut lines: Vec<String> = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"]
        .map(str::to_owned)
        .into();
    if before_login {
        if session.secrecy == Secrecy::Clear && session.config.tls.is_offered() {
            lines.push("STLS".to_owned());
        }
        let mechanisms: Vec<_> = offered(session.channel()).collect();
        if !mechanisms.is_empty() {
            lines.push("USER".to_owned());
            lines.push(format!("SASL {}", mechanisms.join(" ")));
        }
    }
    lines.extend([
        expire,
        "UTF8 USER".to_owned(),
        "LANG".to_owned(),
        "IMPLEMENTATION Postrider".to_owned(),
    ]);
    Ok(Step::Lines(lines))
}
