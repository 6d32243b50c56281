//! LIST (RFC 9051 section 6.3.9), with selection and return options (RFC 5258, RFC 6154) and STATUS (RFC 5819).
//!
//! All names of the account come with one ask; matching is ours.

use std::collections::BTreeMap;

use super::*;
use crate::imap::ask::{Answer, Ask, Counters, Listed, ListedKind};
use crate::imap::response::list::{self as response, Attribute, Extended, Listing};
use crate::imap::response::status;
use crate::imap::syntax::list::List;
use crate::imap::syntax::mailbox::MailboxName;

pub(super) const SPEC: Spec = Spec {
    name: "LIST",
    states: LOGGED_IN,
    run,
    ..PLAIN
};

fn run(session: &mut ImapSession, args: &mut Args<'_>) -> Result<Step, Refusal> {
    let list = List::parse(args)?;
    super::status::are_offered(&list.returns.status)?;
    if list.patterns.is_empty() {
        // LIST "" "" asks for the delimiter.
        response::delimiter(session.out.text());
        return Step::done();
    }
    answer(list, Listing::List)
}

/// Answers LIST and LSUB.
pub(super) fn answer(list: List, listing: Listing) -> Result<Step, Refusal> {
    Step::ask(Ask::Mailboxes, move |session, answer| {
        let Answer::Mailboxes(mailboxes) = answer else {
            return Err(Refusal::Bug);
        };
        let names = Names::of(mailboxes);
        let (utf8, limit) = (session.utf8(), session.config.limits.message);
        for (name, attributes, extended) in names.matching(&list, listing) {
            let text = session.out.text();
            response::list(listing, &attributes, name, extended, utf8, text);
            let listed = names.0.get(name);
            if let Some(listed) = listed
                && listed.kind == ListedKind::Mailbox
                && !list.returns.status.is_empty()
            {
                status::status(
                    name,
                    &list.returns.status,
                    &listed.counters,
                    Some(limit),
                    utf8,
                    text,
                );
            }
        }
        Step::done()
    })
}

/// All names by name. Missing parents of a name are there too, as names without a mailbox.
struct Names(BTreeMap<MailboxName, Listed>);

fn missing(name: MailboxName) -> Listed {
    Listed {
        name,
        kind: ListedKind::NonExistent,
        subscribed: false,
        special_use: None,
        counters: Counters::default(),
    }
}

impl Names {
    fn of(mailboxes: Vec<Listed>) -> Self {
        let mut names: BTreeMap<MailboxName, Listed> = BTreeMap::new();
        for listed in mailboxes {
            let mut above = listed.name.parent();
            while let Some(parent) = above.filter(|parent| !names.contains_key(parent)) {
                above = parent.parent();
                names.insert(parent.clone(), missing(parent));
            }
            names.insert(listed.name.clone(), listed);
        }
        Self(names)
    }

    fn children(&self, name: &MailboxName) -> impl Iterator<Item = &Listed> {
        // Names below sort behind `name/`, but not at once behind `name`: `a-b` comes between `a` and `a/b`.
        let from = format!("{name}/");
        self.0
            .range(name.clone()..)
            .skip_while(move |(below, _)| below.as_str() < from.as_str())
            .take_while(|(below, _)| below.is_below(name))
            .map(|(_, listed)| listed)
    }

    fn has_children(&self, name: &MailboxName) -> bool {
        self.children(name)
            .any(|listed| listed.kind != ListedKind::NonExistent)
    }

    /// The names that a LIST or LSUB tells, by name.
    fn matching(
        &self,
        list: &List,
        listing: Listing,
    ) -> Vec<(&MailboxName, Vec<Attribute>, Extended<'static>)> {
        let lsub = listing == Listing::Lsub;
        let mut found = Vec::new();
        for (name, listed) in &self.0 {
            if !is_named(list, name) {
                continue;
            }
            let selected = Self::is_selected(list, listed);
            let child_info = list.select.recursive_match && self.has_child_info(list, listed);
            let stands_for = lsub && self.stands_for_child(name, list);
            if !(selected || child_info || stands_for) {
                continue;
            }
            let kind = match selected || !lsub {
                true => listed.kind,
                // `%` hides the subscribed child: its parent stands for it (RFC 3501 section 6.3.9).
                false => ListedKind::NoSelect,
            };
            let mut attributes = match kind {
                ListedKind::Mailbox => Vec::new(),
                ListedKind::NoSelect => vec![Attribute::NoSelect],
                ListedKind::NonExistent if lsub => Vec::new(),
                ListedKind::NonExistent => vec![Attribute::NonExistent],
            };
            if !lsub {
                attributes.push(match self.has_children(name) {
                    true => Attribute::HasChildren,
                    false => Attribute::HasNoChildren,
                });
                let shown = list.select.subscribed || list.returns.subscribed;
                attributes.extend((listed.subscribed && shown).then_some(Attribute::Subscribed));
                attributes.extend(listed.special_use.map(Attribute::Special));
            }
            let extended = match child_info {
                true => Extended::Below {
                    subscribed: list.select.subscribed,
                    special_use: list.select.special_use,
                },
                false => Extended::None,
            };
            found.push((name, attributes, extended));
        }
        found
    }

    fn is_selected(list: &List, listed: &Listed) -> bool {
        let exists = listed.kind != ListedKind::NonExistent;
        match (list.select.subscribed, list.select.special_use) {
            (true, true) => listed.subscribed && listed.special_use.is_some(),
            (true, false) => listed.subscribed,
            (false, true) => exists && listed.special_use.is_some(),
            (false, false) => exists,
        }
    }

    /// Whether it is told that names below are selected. For a name that is told for that reason alone this is
    /// redundant where one of those names is told itself (RFC 5258 section 4).
    fn has_child_info(&self, list: &List, listed: &Listed) -> bool {
        let mut below = self
            .children(&listed.name)
            .filter(|child| Self::is_selected(list, child))
            .peekable();
        let any = below.peek().is_some();
        any && (Self::is_selected(list, listed) || !below.any(|child| is_named(list, &child.name)))
    }

    fn stands_for_child(&self, name: &MailboxName, list: &List) -> bool {
        self.children(name)
            .any(|child| child.subscribed && !is_named(list, &child.name))
    }
}

/// Whether a pattern of the LIST matches a name.
fn is_named(list: &List, name: &MailboxName) -> bool {
    let mut patterns = list.patterns.iter();
    patterns.any(|pattern| pattern.matches(name.as_str()))
}
