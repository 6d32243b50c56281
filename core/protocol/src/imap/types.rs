//! The numbers of IMAP, each a type of its own (RFC 9051 section 2.3).

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Unique identifier, from 1 (RFC 9051 section 2.3.1.1).
    Uid(u32)
);
number!(
    /// Message sequence number, from 1 (RFC 9051 section 2.3.1.2).
    SeqNum(u32)
);
number!(
    /// Modification sequence, from 1 (RFC 7162 section 3.1).
    ModSeq(u64)
);
number!(
    /// Tells the UIDs of one incarnation of a mailbox name from another's (RFC 9051 section 2.3.1.1).
    UidValidity(u32)
);

/// Flags of a message: bits 0 to 4 are the system flags, bit `5 + n` is keyword number `n` of the mailbox.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(pub u64);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// `\Seen`
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(1 << 2);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(1 << 3);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(1 << 4);
    /// All system flags.
    pub const SYSTEM: Flags = Flags(0b1_1111);
    /// Bit of keyword number 0.
    pub const FIRST_KEYWORD: u32 = 5;

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flag of keyword number `n`.
    pub fn keyword(n: usize) -> Flags {
        Flags(1 << (Self::FIRST_KEYWORD as usize + n))
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// Special use of a mailbox (RFC 6154).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// All of them with their names on the wire.
    pub const ALL: [(SpecialUse, &'static str); 5] = [
        (SpecialUse::Archive, "\\Archive"),
        (SpecialUse::Drafts, "\\Drafts"),
        (SpecialUse::Junk, "\\Junk"),
        (SpecialUse::Sent, "\\Sent"),
        (SpecialUse::Trash, "\\Trash"),
    ];
}

/// How STORE combines flags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}
