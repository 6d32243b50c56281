//! The client that reads everything and holds it against the ledger.

use postrider_tests::daemon::House;
use postrider_tests::door::Door;

use crate::PASSWORD;
use crate::ledger::{ACCOUNTS, Account, Ledger, Seen};
use crate::letter::Letter;
use crate::shelf::{FLAGS, SHELVES};
use crate::wire::{End, Wire};

/// Holds all mailboxes against the ledger, and the used quota against the sum of what is there.
pub fn check(house: &House, door: &Door, ledger: &Ledger) -> Result<(), String> {
    for (account, name) in ACCOUNTS.iter().enumerate() {
        let sum = account_of(door, ledger, account).map_err(|end| match end {
            End::Gone => "the server left while its mail was read".to_owned(),
            End::Later(why) | End::Wrong(why) => why,
        })?;
        let shown = house.done(&["--json", "user", "show", name], "");
        let shown: serde_json::Value = serde_json::from_str(&shown).map_err(|it| it.to_string())?;
        if shown["used"] != sum {
            return Err(format!("{name}: {sum} octets are there, and {shown}"));
        }
    }
    Ok(())
}

/// One account; the sum of its messages.
fn account_of(door: &Door, ledger: &Ledger, account: Account) -> Result<u64, End> {
    let (mut wire, _) = Wire::inbox(door.port("imap"), ACCOUNTS[account], PASSWORD)?;
    let mut sum = 0;
    let mut look = |wire: &mut Wire, mailbox: &str, read: u32| -> Result<Seen, End> {
        let seen = look(wire, mailbox, read)?;
        sum += seen.flags.iter().map(|it| it.2).sum::<u64>();
        Ok(seen)
    };
    let seen = look(&mut wire, "INBOX", ledger.read_up_to(account))?;
    ledger.compare(account, &seen).map_err(End::Wrong)?;
    ledger.compare_flags(account, &seen).map_err(End::Wrong)?;
    for (shelf, name) in SHELVES.iter().enumerate() {
        let seen = look(&mut wire, name, ledger.shelf_read_up_to(account, shelf))?;
        let compared = ledger.compare_shelf(account, shelf, &seen);
        compared.map_err(End::Wrong)?;
    }
    let (lines, _) = wire.ok("LIST \"\" \"f*\"")?;
    let name = |line: &String| Some(line.rsplit_once(' ')?.1.trim_matches('"').to_owned());
    let names: Vec<String> = lines.iter().filter_map(name).collect();
    for (id, name) in ledger.compare_names(account, &names).map_err(End::Wrong)? {
        let seen = look(&mut wire, &name, 0)?;
        ledger.compare_folder(id, &seen).map_err(End::Wrong)?;
    }
    Ok(sum)
}

fn look(wire: &mut Wire, mailbox: &str, read: u32) -> Result<Seen, End> {
    let (selected, _) = wire.ok(&format!("EXAMINE {mailbox}"))?;
    let code = |name: &str| {
        let found = selected
            .iter()
            .find_map(|line| line.split_once(name)?.1.split_once(']')?.0.parse().ok());
        found.ok_or_else(|| End::Wrong(format!("EXAMINE without {name}: {selected:?}")))
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
        let uid = number(line, "UID ").ok_or_else(|| format!("FETCH was answered {line}"))?;
        // "*" is the last message, also where it was read before.
        let letter = Letter::of(&octets).map_err(|why| format!("{mailbox}, UID {uid}: {why}"))?;
        messages.push((uid as u32, letter));
        Ok(())
    })?;
    if !tagged.starts_with("OK") {
        return Err(End::Wrong(format!("FETCH was answered {tagged}")));
    }
    let (lines, _) = wire.ok("UID FETCH 1:* (FLAGS RFC822.SIZE)")?;
    let mut flags = Vec::new();
    for line in lines.iter().filter(|line| line.contains(" FETCH (")) {
        let of = || {
            Some((
                number(line, "UID ")? as u32,
                bits(line)?,
                number(line, "RFC822.SIZE ")?,
            ))
        };
        flags.push(of().ok_or_else(|| End::Wrong(format!("FETCH was answered {line}")))?);
    }
    if !flags.iter().map(|it| it.0).eq(uids.iter().copied()) {
        return Err(End::Wrong(format!(
            "{mailbox}: {uids:?} are there, and {flags:?}"
        )));
    }
    Ok(Seen {
        validity,
        next,
        uids,
        messages,
        flags,
    })
}

fn number(line: &str, name: &str) -> Option<u64> {
    let rest = line.split_once(name)?.1;
    let end = rest.find(|it: char| !it.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

fn bits(line: &str) -> Option<u8> {
    let (flags, _) = line.split_once("FLAGS (")?.1.split_once(')')?;
    let bit = |flag| FLAGS.iter().position(|it| *it == flag);
    let bits = flags.split(' ').filter_map(bit).map(|at| 1 << at);
    Some(bits.sum())
}
