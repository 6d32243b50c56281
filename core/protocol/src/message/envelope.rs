//! What a message's header says about who, when and what (the IMAP ENVELOPE, RFC 9051 section 7.5.2).
//!
//! Values stand as in the header, on one line: encoded words are not decoded. Where a field that may come once
//! comes twice, the first counts; To, Cc and Bcc are joined, since mail programs show all of them.

use super::address_list::{self, AddressItem};
use super::header::{Field, fields};
use super::mime::Budget;
use super::part::Flaws;

/// The envelope of a message, as IMAP calls it. Not that of SMTP.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Envelope<T = Vec<u8>> {
    /// `Date`.
    pub date: Option<T>,
    /// `Subject`.
    pub subject: Option<T>,
    /// `From`.
    pub from: Vec<AddressItem<T>>,
    /// `Sender`, empty if there is none: see [`Envelope::sender_or_from`].
    pub sender: Vec<AddressItem<T>>,
    /// `Reply-To`, empty if there is none: see [`Envelope::reply_to_or_from`].
    pub reply_to: Vec<AddressItem<T>>,
    /// `To`.
    pub to: Vec<AddressItem<T>>,
    /// `Cc`.
    pub cc: Vec<AddressItem<T>>,
    /// `Bcc`.
    pub bcc: Vec<AddressItem<T>>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<T>,
    /// `Message-ID`.
    pub message_id: Option<T>,
}

impl<T> Envelope<T> {
    /// What IMAP shows as sender: absent or empty means From.
    pub fn sender_or_from(&self) -> &[AddressItem<T>] {
        if self.sender.is_empty() {
            &self.from
        } else {
            &self.sender
        }
    }

    /// What IMAP shows as reply-to: absent or empty means From.
    pub fn reply_to_or_from(&self) -> &[AddressItem<T>] {
        if self.reply_to.is_empty() {
            &self.from
        } else {
            &self.reply_to
        }
    }
}

impl Envelope {
    /// Reads a header, as far as the budget goes.
    pub(super) fn read(header: &[u8], budget: &mut Budget) -> (Self, Flaws) {
        let mut envelope = Self::default();
        let mut flaws = Flaws::default();
        let mut seen = 0u16;
        let mut all = fields(budget.readable(header));
        for field in all.by_ref().take(budget.fields()) {
            flaws |= envelope.take(&field, &mut seen, budget);
        }
        (envelope, flaws)
    }

    fn take(&mut self, field: &Field<'_>, seen: &mut u16, budget: &mut Budget) -> Flaws {
        let Some(index) = NAMES.iter().position(|name| field.is(name)) else {
            return Flaws::default();
        };
        let again = *seen & 1 << index != 0;
        *seen |= 1 << index;
        let mut flaws = if again {
            Flaws::DUPLICATE_FIELD
        } else {
            Flaws::default()
        };
        let list = match NAMES[index] {
            "To" => &mut self.to,
            "Cc" => &mut self.cc,
            "Bcc" => &mut self.bcc,
            _ if again => return flaws,
            "From" => &mut self.from,
            "Sender" => &mut self.sender,
            "Reply-To" => &mut self.reply_to,
            name => {
                let text = match name {
                    "Date" => &mut self.date,
                    "Subject" => &mut self.subject,
                    "In-Reply-To" => &mut self.in_reply_to,
                    _ => &mut self.message_id,
                };
                match budget.keep(&field.unfolded()) {
                    Some(value) => *text = Some(value),
                    None => flaws |= Flaws::VALUES_CUT,
                }
                return flaws;
            }
        };
        let (items, whole) = address_list::parse(field.value, budget.addresses());
        let kept = budget.keep_addresses(items, list);
        if !whole || !kept {
            flaws |= Flaws::VALUES_CUT;
        }
        flaws
    }
}

const NAMES: [&str; 10] = [
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "Message-ID",
];
