//! What of a message is read and kept: the account that the readers of its headers draw on.

use super::Limits;
use crate::message::address_list::AddressItem;
use crate::message::parameter::Parameter;

/// What may still be kept of a message.
#[derive(Debug)]
pub(in crate::message) struct Budget {
    limits: Limits,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self { limits: *limits }
    }

    /// What of a header is read.
    pub fn readable<'a>(&self, header: &'a [u8]) -> &'a [u8] {
        &header[..header.len().min(self.limits.header)]
    }

    pub fn fields(&self) -> usize {
        self.limits.fields
    }

    pub fn addresses(&self) -> usize {
        self.limits.addresses
    }

    /// Takes from the octets that may be kept.
    pub fn spend(&mut self, octets: usize) -> bool {
        match self.limits.kept.checked_sub(octets) {
            Some(left) => {
                self.limits.kept = left;
                true
            }
            None => false,
        }
    }

    /// A copy of a value, if it may be kept.
    pub fn keep(&mut self, value: &[u8]) -> Option<Vec<u8>> {
        self.spend(value.len()).then(|| value.to_vec())
    }

    /// Keeps items as far as it goes. False if not all.
    pub fn keep_addresses(&mut self, items: Vec<AddressItem>, list: &mut Vec<AddressItem>) -> bool {
        let mut in_group = false;
        for item in items {
            let octets = match &item {
                AddressItem::Mailbox {
                    name,
                    route,
                    local,
                    domain,
                } => {
                    let optional = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::len);
                    optional(name) + optional(route) + local.len() + domain.len()
                }
                AddressItem::GroupStart(name) => name.len(),
                AddressItem::GroupEnd => 0,
            };
            let ends = item == AddressItem::GroupEnd;
            let fits = ends || (self.limits.addresses > 0 && self.spend(octets));
            if !fits {
                if in_group {
                    list.push(AddressItem::GroupEnd);
                }
                return false;
            }
            in_group = match item {
                AddressItem::GroupStart(_) => true,
                AddressItem::GroupEnd => false,
                AddressItem::Mailbox { .. } => in_group,
            };
            self.limits.addresses = self.limits.addresses.saturating_sub(1);
            list.push(item);
        }
        true
    }

    /// Keeps the parameters that fit. False if not all.
    pub fn keep_parameters(&mut self, parameters: Vec<Parameter>) -> (Vec<Parameter>, bool) {
        let count = parameters.len();
        let fits = |parameter: &Parameter| self.spend(parameter.name.len() + parameter.value.len());
        let kept: Vec<_> = parameters.into_iter().take_while(fits).collect();
        let whole = kept.len() == count;
        (kept, whole)
    }
}
