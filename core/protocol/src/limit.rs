//! The bounds that a peer can reach, by the names under which they are counted.
//!
//! A session says which bound stopped a peer ([`Session::reached`](crate::session::Session::reached)); it knows no metrics. The
//! numbers are in the sessions' configurations, the table for operators in `core/LIMITS.md`.

/// A bound that a peer reached.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Limit {
    /// Octets of a line.
    Line,
    /// Octets of an IMAP command with its literals.
    Command,
    /// A literal that is too long even to be thrown away.
    Literal,
    /// Octets of a message.
    MessageSize,
    /// Recipients of a message.
    Recipients,
    /// Accounts that the recipients of a message lead to.
    Accounts,
    /// Messages within a window of time.
    MessageRate,
    /// Recipients within a window of time.
    RecipientRate,
    /// Levels of parentheses and search keys.
    Nesting,
    /// Elements of a list or a sequence set, items to fetch, flags, patterns.
    Elements,
    /// Keys of a search.
    SearchKeys,
    /// Errors until the connection is closed.
    Errors,
    /// Commands that bring nothing forward until each is an error.
    Chatter,
    /// Failed logins until the connection is closed.
    LoginFailures,
    /// Parts of a message that are told apart.
    MimeParts,
    /// Parts inside each other.
    MimeDepth,
    /// Fields or octets of a header that are read, addresses and parameters of it that are kept.
    Header,
    /// Connections of this process.
    Connections,
    /// Mailboxes that are open in this process, or that an account has.
    Mailboxes,
    /// Memory for messages in flight.
    Memory,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Line,
        Self::Command,
        Self::Literal,
        Self::MessageSize,
        Self::Recipients,
        Self::Accounts,
        Self::MessageRate,
        Self::RecipientRate,
        Self::Nesting,
        Self::Elements,
        Self::SearchKeys,
        Self::Errors,
        Self::Chatter,
        Self::LoginFailures,
        Self::MimeParts,
        Self::MimeDepth,
        Self::Header,
        Self::Connections,
        Self::Mailboxes,
        Self::Memory,
    ];

    /// Its name in metrics and in the table of limits.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Command => "command",
            Self::Literal => "literal",
            Self::MessageSize => "message_size",
            Self::Recipients => "recipients",
            Self::Accounts => "accounts",
            Self::MessageRate => "message_rate",
            Self::RecipientRate => "recipient_rate",
            Self::Nesting => "nesting",
            Self::Elements => "elements",
            Self::SearchKeys => "search_keys",
            Self::Errors => "errors",
            Self::Chatter => "chatter",
            Self::LoginFailures => "login_failures",
            Self::MimeParts => "mime_parts",
            Self::MimeDepth => "mime_depth",
            Self::Header => "header",
            Self::Connections => "connections",
            Self::Mailboxes => "mailboxes",
            Self::Memory => "memory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        let mut names = Limit::ALL.map(Limit::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Limit::ALL.len());
    }
}
