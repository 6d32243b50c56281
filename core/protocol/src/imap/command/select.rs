//! SELECT (RFC 9051 section 6.3.2).

use super::*;
use crate::imap::ask::{Access, Answer, Ask, Opened};
use crate::imap::response::list::{Extended, Listing, list};
use crate::imap::session::{Selected, mailbox_flags};
use crate::imap::syntax::mailbox::MailboxName;
use crate::imap::syntax::select::Select;
use crate::imap::types::Flags;
use crate::imap::view::View;

pub(super) const SPEC: Spec = Spec {
    name: "SELECT",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    open(session, args, Access::ReadWrite)
}

/// SELECT and EXAMINE. Whatever comes of it, the mailbox selected before is no longer.
pub(super) fn open(
    session: &mut ImapSession,
    args: &mut Args<'_>,
    access: Access,
) -> Result<Step, Refusal> {
    let parsed = Select::parse(args);
    if let Err(error @ ArgumentError::Name(_)) = parsed {
        // It failed like one of a mailbox that is not there (RFC 9051 section 6.3.2).
        return leave_and_refuse(session, error);
    }
    let Select {
        mailbox,
        condstore,
        qresync,
    } = parsed?;
    if condstore || qresync.is_some() {
        return Err(Refusal::Bad("CONDSTORE and QRESYNC are not offered"));
    }
    close_previous(session);
    let recent = session.recent_of(access);
    let name = mailbox.clone();
    let ask = Ask::Open {
        mailbox,
        access,
        recent,
    };
    Step::ask(ask, move |session, answer| match answer {
        Answer::Opened(opened) => opened_as(session, *opened, access, &name),
        _ => Err(Refusal::Bug),
    })
}

/// The client knows which mailbox the lines before and after speak of (RFC 9051 section 7.1).
fn close_previous(session: &mut ImapSession) {
    if session.selected.is_some() {
        session.out.line("* OK [CLOSED] previous mailbox closed");
    }
    session.leave();
}

fn leave_and_refuse(session: &mut ImapSession, error: ArgumentError) -> Result<Step, Refusal> {
    if session.selected.is_none() {
        return Err(error.into());
    }
    close_previous(session);
    Step::ask(Ask::Leave, move |_, _| Err(error.into()))
}

fn opened_as(
    session: &mut ImapSession,
    opened: Opened,
    access: Access,
    name: &MailboxName,
) -> Result<Step, Refusal> {
    let synced = opened.synced;
    let snapshot = synced.snapshot.clone();
    let mut selected = Selected {
        access,
        view: View::new(synced.snapshot),
        recent: Vec::new(),
        saved: Vec::new(),
    };
    selected.take_recent(synced.recent);
    let rev2 = session.enabled.rev2;
    let out = &mut session.out;
    mailbox_flags(snapshot.keywords(), access, out.text());
    out.line(format!("* {} EXISTS", snapshot.count()));
    if rev2 {
        list(
            Listing::List,
            &[],
            name,
            Extended::None,
            Utf8::On,
            out.text(),
        );
    } else {
        out.line(format!("* {} RECENT", selected.recent_count()));
        let unseen = snapshot
            .iter()
            .find(|(_, entry)| !entry.flags.contains(Flags::SEEN));
        if let Some((seq, _)) = unseen {
            out.line(format!("* OK [UNSEEN {seq}] first unseen message"));
        }
    }
    out.line(format!(
        "* OK [UIDVALIDITY {}] UIDs valid",
        snapshot.uid_validity()
    ));
    out.line(format!(
        "* OK [UIDNEXT {}] predicted next UID",
        snapshot.uid_next()
    ));
    session.selected = Some(selected);
    session.state = State::Selected;
    Ok(Step::Done(Some(match access {
        Access::ReadWrite => Code::ReadWrite,
        Access::ReadOnly => Code::ReadOnly,
    })))
}
