//! Clients that read: one that holds mailboxes against the ledger, one that expunges.

use std::sync::Arc;
use std::thread::JoinHandle;

use postrider_tests::daemon::Daemon;

use crate::PASSWORD;
use crate::ledger::{ACCOUNTS, Ledger, Seen};
use crate::letter::Letter;
use crate::random::Random;
use crate::wire::{End, Wire};

/// Holds all mailboxes against the ledger.
pub fn check(daemon: &Daemon, ledger: &Ledger) -> Result<(), String> {
    for (account, name) in ACCOUNTS.iter().enumerate() {
        let seen =
            look(daemon.port("imap"), name, ledger.read_up_to(account)).map_err(
                |end| match end {
                    End::Gone => "the server left while its mail was read".to_owned(),
                    End::Wrong(why) => why,
                },
            )?;
        ledger.compare(account, &seen)?;
    }
    Ok(())
}

fn look(port: u16, account: &str, read: u32) -> Result<Seen, End> {
    let (mut wire, selected) = Wire::inbox(port, account, PASSWORD)?;
    let code = |name: &str| {
        let found = selected
            .iter()
            .find_map(|line| line.split_once(name)?.1.split_once(']')?.0.parse().ok());
        found.ok_or_else(|| End::Wrong(format!("SELECT without {name}: {selected:?}")))
    };
    let (validity, next) = (code("[UIDVALIDITY ")?, code("[UIDNEXT ")?);
    let (lines, _) = wire.ok("UID SEARCH ALL")?;
    let found = lines.iter().find_map(|line| line.strip_prefix("* SEARCH"));
    let found = found.ok_or_else(|| End::Wrong(format!("SEARCH was answered {lines:?}")))?;
    let uids: Result<Vec<u32>, _> = found.split_whitespace().map(str::parse).collect();
    let uids = uids.map_err(|_| End::Wrong(format!("SEARCH was answered {found}")))?;
    let mut messages = Vec::new();
    let command = format!("UID FETCH {}:* (UID BODY.PEEK[])", read + 1);
    let (_, tagged) = wire.imap(command.as_bytes(), |line, octets| {
        let uid = line
            .split_once("UID ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        let uid = uid.ok_or_else(|| format!("FETCH was answered {line}"))?;
        // "*" is the last message, also where it was read before.
        let letter = Letter::of(&octets).map_err(|why| format!("{account}, UID {uid}: {why}"))?;
        messages.push((uid, letter));
        Ok(())
    })?;
    if !tagged.starts_with("OK") {
        return Err(End::Wrong(format!("FETCH was answered {tagged}")));
    }
    Ok(Seen {
        validity,
        next,
        uids,
        messages,
    })
}

/// Starts a client that expunges messages, one by one, until the server is gone.
pub fn gardener(
    daemon: &Daemon,
    mut random: Random,
    ledger: Arc<Ledger>,
) -> JoinHandle<Result<(), String>> {
    let port = daemon.port("imap");
    std::thread::spawn(move || {
        let account = random.below(ACCOUNTS.len() as u64) as usize;
        let mut work = || -> Result<(), End> {
            let (mut wire, _) = Wire::inbox(port, ACCOUNTS[account], PASSWORD)?;
            while let Some(uid) = ledger.doom(account, random.next()) {
                wire.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
                wire.ok(&format!("UID EXPUNGE {uid}"))?;
                ledger.expunged(account, uid);
            }
            Ok(())
        };
        match work() {
            Err(End::Wrong(why)) => Err(why),
            Err(End::Gone) | Ok(()) => Ok(()),
        }
    })
}
