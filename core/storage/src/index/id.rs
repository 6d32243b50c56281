//! Identifiers and counters of the index, each a type of its own.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A row of `domains`.
    DomainId(i64)
);
id!(
    /// A row of `virtual_users`.
    AccountId(i64)
);
id!(
    /// A mailbox; never given twice, kept by a rename.
    MailboxId(i64)
);
id!(
    /// A message body; several messages may name one (COPY).
    BlobId(i64)
);
id!(
    /// Unique identifier of a message in its mailbox, from 1 (RFC 9051 section 2.3.1.1).
    Uid(u32)
);
id!(
    /// Value that makes UIDs of two incarnations of a mailbox name differ, from 1 (RFC 9051 section 2.3.1.1).
    UidValidity(u32)
);
id!(
    /// Modification sequence of a mailbox, from 1 (RFC 7162).
    ModSeq(u64)
);
id!(
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64)
);
