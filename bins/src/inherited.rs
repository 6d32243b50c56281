//! Listening sockets that the service manager opened: the protocol of `sd_listen_fds(3)`.
//!
//! Who they are for is decided by the engine ([`postrider::net::inherited`]): by the name that `FileDescriptorName=` gives them, or by
//! their address.

use std::{env, process};

use listenfd::ListenFd;
use postrider::net::inherited::Inherited;

use crate::Failure;

/// Most sockets that are taken over; there is no program with as many listeners.
const MOST: usize = 256;
/// The number of the first one.
const FIRST: usize = 3;

/// Takes over what was opened for this process. To be called once, before there are threads.
///
/// # Errors
/// One of them is no listening socket, or the environment contradicts itself.
pub fn take() -> Result<Vec<Inherited>, Failure> {
    let variable = |name| env::var(name).ok();
    let names = names(
        variable("LISTEN_PID"),
        variable("LISTEN_FDS"),
        variable("LISTEN_FDNAMES"),
        process::id(),
    )
    .map_err(Failure::new)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::with_capacity(names.len());
    for (place, name) in names.into_iter().enumerate() {
        let number = FIRST + place;
        let shown = name.clone().unwrap_or_default();
        let socket = one(&mut given, place, name)
            .map_err(|error| format!("inherited descriptor {number} {shown}: {error}"))
            .map_err(Failure::new)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn one(given: &mut ListenFd, place: usize, name: Option<String>) -> std::io::Result<Inherited> {
    if let Ok(Some(listener)) = given.take_unix_listener(place) {
        return Inherited::unix(name, listener);
    }
    match given.take_tcp_listener(place)? {
        Some(listener) => Inherited::tcp(name, listener),
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}

/// What the sockets for this process are called, one after the other.
fn names(
    pid: Option<String>,
    count: Option<String>,
    names: Option<String>,
    own: u32,
) -> Result<Vec<Option<String>>, String> {
    // Those of another process, which did not clean up before it started us.
    let (Some(pid), Some(count)) = (pid, count) else {
        return Ok(Vec::new());
    };
    if pid.parse() != Ok(own) {
        return Ok(Vec::new());
    }
    let sockets: usize = match count.parse() {
        Ok(sockets) if sockets <= MOST => sockets,
        _ => return Err(format!("LISTEN_FDS={count} is no number of sockets")),
    };
    let Some(names) = names else {
        return Ok(vec![None; sockets]);
    };
    let names: Vec<_> = match sockets {
        0 => Vec::new(),
        _ => names.split(':').map(|it| Some(it.to_owned())).collect(),
    };
    if names.len() != sockets {
        let names = names.len();
        return Err(format!(
            "LISTEN_FDNAMES has {names} names for {sockets} sockets"
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_for_this_process_is_taken() {
        let ask = |pid: Option<&str>, count: Option<&str>, all: Option<&str>| {
            let own = |it: Option<&str>| it.map(str::to_owned);
            names(own(pid), own(count), own(all), 77)
        };
        let named = |all: &[&str]| {
            let all = all.iter().map(|it| Some((*it).to_owned()));
            Ok(all.collect::<Vec<_>>())
        };
        assert_eq!(ask(None, None, None), Ok(vec![]));
        assert_eq!(
            ask(None, Some("2"), None),
            Ok(vec![]),
            "nobody says for whom"
        );
        assert_eq!(ask(Some("78"), Some("2"), Some("imap:imaps")), Ok(vec![]));
        assert_eq!(ask(Some("77"), None, None), Ok(vec![]));
        assert_eq!(
            ask(Some("77"), Some("2"), Some("imap:imaps")),
            named(&["imap", "imaps"])
        );
        assert_eq!(
            ask(Some("77"), Some("2"), Some("imap:")),
            named(&["imap", ""])
        );
        assert_eq!(ask(Some("77"), Some("0"), Some("")), Ok(vec![]));
        assert_eq!(ask(Some("77"), Some("2"), None), Ok(vec![None, None]));
        for (count, all) in [
            ("-1", None),
            ("many", None),
            ("99999999", None),
            ("2", Some("imap")),
            ("1", Some("imap:imaps")),
        ] {
            assert!(ask(Some("77"), Some(count), all).is_err(), "{count}");
        }
    }
}
