//! STATUS (RFC 9051 section 6.3.11).

use super::*;
use crate::imap::ask::{Answer, Ask};
use crate::imap::response::status;
use crate::imap::syntax::status::{Status, StatusItem};

pub(super) const SPEC: Spec = Spec {
    name: "STATUS",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(_: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let Status { mailbox, items } = Status::parse(args)?;
    are_offered(&items)?;
    Step::ask(Ask::Status { mailbox }, move |session, answer| {
        let Answer::Status(listed) = answer else {
            return Err(Refusal::Bug);
        };
        let (utf8, limit) = (session.utf8(), session.config.limits.message);
        status::status(
            &listed.name,
            &items,
            &listed.counters,
            Some(limit),
            utf8,
            session.out.text(),
        );
        Step::done()
    })
}

/// Items of extensions that are not announced are not known (RFC 7162, RFC 8474).
pub(super) fn are_offered(items: &[StatusItem]) -> Result<(), Refusal> {
    let mut items = items.iter();
    match items.any(|item| matches!(item, StatusItem::HighestModSeq | StatusItem::MailboxId)) {
        true => Err(Refusal::Bad("this item's extension is not offered")),
        false => Ok(()),
    }
}
