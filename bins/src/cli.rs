//! The command line of `postrider`.

mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use postrider_storage::index::AuthType;

pub use self::value::{KeepArg, Quota, UidSet, When};

/// Heading of what all commands take.
const GLOBAL: &str = "Options of all commands";

/// A mail server: SMTP, submission, LMTP, IMAP and POP3.
///
/// Without --config and --data, /etc/postrider/postrider.toml is used if it is there, and otherwise the embedded default with its
/// data in ./postrider-data. All commands work on a running server and on a stopped one.
#[derive(Debug, Parser)]
#[command(
    name = "postrider",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 failed (why, on standard error), 2 bad usage.\n\n\
        Try it:\n  \
        postrider run\n\n\
        A server of your own, configured by /etc/postrider/postrider.toml:\n  \
        postrider check-config\n  \
        postrider domain add example.com\n  \
        postrider user add ada@example.com --quota 5GiB\n  \
        postrider run"
)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs)] // its documentation would be a heading of the help
    pub place: PlaceArgs,
    /// Print one JSON document and nothing else.
    #[arg(long, global = true, help_heading = GLOBAL, display_order = 102)]
    pub json: bool,
    #[command(subcommand)]
    #[allow(missing_docs)] // as above
    pub command: Command,
}

/// Which server is meant.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// Configuration file.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "data", help_heading = GLOBAL, display_order = 100)]
    pub config: Option<PathBuf>,
    /// Data directory of the embedded default, which needs no configuration file.
    #[arg(long, value_name = "DIR", global = true, help_heading = GLOBAL, display_order = 101)]
    pub data: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process.
    ///
    /// Without a configuration file this is the embedded default: SQLite and Maildir in the data directory, a self-signed certificate,
    /// ports above 1024 on 127.0.0.1, a first domain example.test with one mailbox, whose password is printed once. A second start keeps everything.
    #[command(
        after_help = "Examples:\n  postrider run\n  postrider --data /srv/mail run\n  postrider --config postrider.toml run --ports-file /run/ports.json"
    )]
    Run(RunArgs),
    /// Say all that is wrong with the configuration, with file and line.
    CheckConfig,
    /// Bring the database up to date with this version; makes it if it is not there.
    Migrate,
    /// Domains whose mail is kept here.
    #[command(subcommand, arg_required_else_help = true)]
    Domain(DomainCommand),
    /// Users and their mailboxes.
    #[command(subcommand, arg_required_else_help = true)]
    User(UserCommand),
    /// Addresses that lead to others.
    #[command(subcommand, arg_required_else_help = true)]
    Alias(AliasCommand),
    /// The LDAP directory: who is in it, and what of it is taken over.
    #[command(subcommand, arg_required_else_help = true)]
    Ldap(LdapCommand),
    /// Bring mail of another server into an account.
    #[command(subcommand, arg_required_else_help = true)]
    Import(ImportCommand),
    /// Write an account's mail for another server.
    #[command(subcommand, arg_required_else_help = true)]
    Export(ExportCommand),
    /// Copy a whole server to another database and store, as from the embedded default to PostgreSQL and S3.
    ///
    /// Domains, users with their hashes, quotas and retention, aliases, entries of the directory, mailboxes with UIDVALIDITY, UIDs and modification
    /// sequences, messages with flags, keywords and dates, what POP3 knows, subscriptions, and bodies under the same names: clients notice nothing.
    /// Deleted mail can be brought back there as long as here (undelete), unless retention.expunged of either configuration is over for it.
    /// At the end both sides are read and compared.
    ///
    /// Stop the server that is copied from: what changes meanwhile is noticed, and then the copy is refused. The target's database must be empty, or
    /// hold what an earlier run of the same copy left, which this one goes on with.
    #[command(
        after_help = "Example:\n  postrider copy --from embedded.toml --to /etc/postrider/postrider.toml\n\n\
            where embedded.toml has one line: data_dir = \"/srv/postrider-data\""
    )]
    Copy(CopyArgs),
    /// List deleted messages, or bring them back.
    ///
    /// What a user expunged, and what was in mailboxes that were deleted, can be brought back for the time of retention.expunged (30 days). A message
    /// comes back to the mailbox it was in, which is made again if it is gone, with its flags and keywords and a new UID; running clients see it
    /// at once. What cannot be told apart by mailbox, time or UID is named by --all. Times are in UTC.
    #[command(
        after_help = "Examples:\n  postrider undelete ada@example.com --list\n  postrider undelete ada@example.com --since 2h\n  postrider undelete ada@example.com --mailbox Projects --uid 7,12:15\n  postrider undelete ada@example.com --since \"2026-03-01 14:00\" --into Recovered"
    )]
    Undelete(UndeleteArgs),
    /// Compare index and store: name what is missing or left over on either side.
    ///
    /// Repair throws no mail away: a body that no message names becomes a message again, in the mailbox it was born in; a message whose body is
    /// gone is named, for a backup to bring it back. Servers may run meanwhile: a body that one of them may be about to name is counted as too
    /// young to tell and left alone. Credentials that may not list the store check the one direction that they can. Exit status 1 if something
    /// does not agree and was not repaired, or not everything could be checked.
    Fsck(FsckArgs),
}

/// How to run.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Write the ports taken to this file, as JSON by service, once all listeners are ready.
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
}

/// What to bring in.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Take over a Maildir as Dovecot keeps it, so that clients need not fetch anything again.
    ///
    /// UIDVALIDITY and UIDs (dovecot-uidlist), flags and keywords (dovecot-keywords), dates, subscriptions and POP3 unique-ids stay what they are. The
    /// folders of a Maildir++ become mailboxes: .Projects.2026 is Projects/2026. Dovecot may be running: run it again later, and what came since is
    /// brought, and flags and keywords that changed since follow where nobody changed them here; what was brought before is not brought again, even if it
    /// was moved or deleted here, and what was deleted there stays here and is counted. Let the last run be one when Dovecot is stopped. It
    /// can be stopped at any time, and goes on where it was. The quota counts what comes, and refuses nothing of it.
    ///
    /// A mailbox that already has mail with UIDs of its own is not touched, and nothing is imported, unless --merge says so. What cannot be taken
    /// (unreadable files, symbolic links, compressed or encrypted messages) is named; then the exit status is 1.
    #[command(
        after_help = "Examples:\n  postrider import maildir /var/mail/ada/Maildir ada@example.com\n  postrider import maildir ./Maildir ada@example.com --json >report.json"
    )]
    Maildir {
        /// The Maildir: the folder that has cur, new and tmp.
        dir: PathBuf,
        /// The address of the account.
        email: String,
        /// Where a mailbox has mail with UIDs of its own, add the messages behind it with new UIDs.
        #[arg(long)]
        merge: bool,
    },
}

/// What to write.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Write a Maildir as Dovecot keeps it, so that clients need not fetch anything again.
    ///
    /// UIDVALIDITY and UIDs (dovecot-uidlist), flags and keywords (dovecot-keywords), dates, subscriptions and POP3 unique-ids stay what they are. The
    /// folder must be empty, or hold an earlier export of the same account, which is brought up to date: what came is written, what went is removed.
    /// It can be stopped at any time, and goes on where it was. Files belong to who runs this; give them to the user that Dovecot reads mail as.
    ///
    /// What a Maildir cannot hold is named, and then the exit status is 1: more than 26 keywords of a mailbox, a dot in the name of a mailbox
    /// (written as "_"), a body that the store has not. Deleted mail that could be brought back is not written.
    #[command(
        after_help = "Examples:\n  postrider export maildir ada@example.com ./ada/Maildir\n  chown -R vmail: ./ada"
    )]
    Maildir {
        /// The address of the account.
        email: String,
        /// The folder; it is made if it is not there.
        dir: PathBuf,
    },
}

/// What to copy where.
#[derive(Args, Debug)]
pub struct CopyArgs {
    /// Configuration of the server that is copied from.
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Configuration of the server that is copied to.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// What to bring back.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["list", "mailbox", "since", "uid", "all"])))]
pub struct UndeleteArgs {
    /// Whose messages.
    pub email: String,
    /// List them, and change nothing.
    #[arg(long)]
    pub list: bool,
    /// Only those of this mailbox.
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<String>,
    /// Only those deleted since a time, such as "2026-03-01 14:00", or in the last while, such as 2h or 3d.
    #[arg(long, value_name = "WHEN")]
    pub since: Option<When>,
    /// Only those with these UIDs, such as 7,12:15.
    #[arg(long, value_name = "UIDS", requires = "mailbox")]
    pub uid: Option<UidSet>,
    /// All of them.
    #[arg(long, conflicts_with_all = ["mailbox", "since", "uid"])]
    pub all: bool,
    /// Bring them back to this mailbox, which is made if it is not there.
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    pub into: Option<String>,
}

/// How to compare. Works beside running servers: what they are about to name is left to them.
#[derive(Args, Debug)]
pub struct FsckArgs {
    /// Mend what can be mended.
    #[arg(long)]
    pub repair: bool,
    /// Index or whole server were brought back from a backup: first give every mailbox a new UIDVALIDITY, so that clients
    /// fetch it anew.
    #[arg(long)]
    pub restored: bool,
    /// The index was lost and its accounts were made anew: messages of their addresses that are older than they are go to them.
    #[arg(long, requires = "repair")]
    pub adopt: bool,
}

/// What to do with domains.
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Add a domain.
    #[command(
        after_help = "Examples:\n  postrider domain add example.com\n  postrider domain add example.org --auth ldap --ldap-base-dn dc=example,dc=org"
    )]
    Add {
        /// Its name.
        name: String,
        /// Who vouches for its users.
        #[arg(long, value_enum, default_value_t = AuthArg::Local)]
        auth: AuthArg,
        /// Where its users are in the directory, in place of the configured base DN.
        #[arg(long, value_name = "DN")]
        ldap_base_dn: Option<String>,
    },
    /// List all domains.
    List,
    /// Show a domain and what is in it.
    Show {
        /// Its name.
        name: String,
    },
    /// Change who vouches for a domain's users.
    ///
    /// To ldap: they are the directory's from now on. Each is bound to the entry that has the address, at the next synchronisation or login; who has none
    /// cannot log in (postrider ldap sync --dry-run shows them all). Passwords kept here stay, and count again when the domain goes back. To local: nobody is
    /// switched off, and who has no password here cannot log in before one is set (postrider user passwd). Either way all log in anew.
    #[command(
        after_help = "Examples:\n  postrider domain auth example.com ldap --ldap-base-dn ou=people,dc=example,dc=com\n  postrider domain auth example.com local"
    )]
    Auth {
        /// Its name.
        name: String,
        /// Who vouches for its users.
        #[arg(value_enum)]
        auth: AuthArg,
        /// Where its users are in the directory, in place of the configured base DN.
        #[arg(long, value_name = "DN")]
        ldap_base_dn: Option<String>,
        /// Users that are there stay as they are: to ldap, with the passwords kept here beside the directory's, and unbound.
        #[arg(long)]
        keep_users: bool,
    },
    /// Switch a domain off: it takes no mail and lets nobody in. Nothing is deleted.
    Disable {
        /// Its name.
        name: String,
    },
    /// Switch a domain on again.
    Enable {
        /// Its name.
        name: String,
    },
    /// Remove a domain without users, and its aliases.
    Remove {
        /// Its name.
        name: String,
    },
}

/// `--auth`
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum AuthArg {
    /// The passwords kept here.
    Local,
    /// The LDAP directory first.
    Ldap,
}

impl From<AuthArg> for AuthType {
    fn from(auth: AuthArg) -> Self {
        match auth {
            AuthArg::Local => Self::Local,
            AuthArg::Ldap => Self::Ldap,
        }
    }
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user; its password is read from standard input.
    ///
    /// On a terminal it is asked for twice and not shown; otherwise it is the first line of standard input.
    #[command(
        after_help = "Examples:\n  postrider user add ada@example.com\n  postrider user add ada@example.com --quota 5GiB <password.txt"
    )]
    Add {
        /// Its address.
        email: String,
        /// Most its messages may take, such as 5GiB, or "unlimited".
        #[arg(long, value_name = "SIZE", default_value = "1GiB")]
        quota: Quota,
    },
    /// List all users, or those of a domain.
    List {
        /// Only of this domain.
        domain: Option<String>,
    },
    /// Show a user, its mailboxes and aliases.
    Show {
        /// Its address.
        email: String,
    },
    /// Switch a user off: it gets no mail and cannot log in; what is open is closed.
    Disable {
        /// Its address.
        email: String,
    },
    /// Switch a user on again.
    Enable {
        /// Its address.
        email: String,
    },
    /// Remove a user and its mail.
    Remove {
        /// Its address.
        email: String,
    },
    /// Change a user's password; read from standard input, as for "user add".
    Passwd {
        /// Its address.
        email: String,
    },
    /// Change a user's quota.
    #[command(
        after_help = "Examples:\n  postrider user quota ada@example.com 5GiB\n  postrider user quota ada@example.com unlimited"
    )]
    Quota {
        /// Its address.
        email: String,
        /// Most its messages may take, such as 5GiB, or "unlimited".
        size: Quota,
    },
    /// Set how long a user's mail stays in INBOX after POP3 retrieved it.
    ///
    /// The time runs from the first retrieval. What goes can be brought back like deleted mail.
    #[command(
        after_help = "Examples:\n  postrider user retention ada@example.com 30d\n  postrider user retention ada@example.com never\n  postrider user retention ada@example.com default"
    )]
    Retention {
        /// Its address.
        email: String,
        /// Whole days, such as 30d, "never", or "default" for what the configuration says.
        time: KeepArg,
    },
    /// Add many users from a CSV file, all or none; every bad line is named.
    ///
    /// The first line names the columns: email, and password or password_hash, and optionally quota. A password_hash is bcrypt, with or
    /// without {BLF-CRYPT} before it, or another of Dovecot's: {SHA512-CRYPT}, {SHA256-CRYPT}, {MD5-CRYPT}, {CRYPT}, {ARGON2ID}, {ARGON2I},
    /// {PBKDF2}, {SCRAM-SHA-1}, {SCRAM-SHA-256}, {SSHA}, {SSHA256}, {SSHA512}, {SMD5}, {SHA}, {SHA256}, {SHA512}, {PLAIN-MD5}, {PLAIN}, {CLEARTEXT}, also with .HEX or .B64.
    /// It becomes bcrypt at the user's first login. The domains must be there already.
    #[command(
        after_help = "Example:\n  email,password_hash,quota\n  ada@example.com,{BLF-CRYPT}$2y$12$...,5GiB\n  bob@example.com,{SHA512-CRYPT}$6$...,unlimited\n\n  postrider user import users.csv"
    )]
    Import {
        /// The file; "-" is standard input.
        file: PathBuf,
    },
}

/// What to do with the directory.
#[derive(Debug, Subcommand)]
pub enum LdapCommand {
    /// Take over addresses, names and departments now, as the running server does every hour.
    ///
    /// Accounts are added, renamed and switched off and on again; none is removed. A domain of which more than one account in five would be
    /// switched off is left as it is. Exit status 1 if a domain was left, or something needs a look.
    #[command(
        after_help = "Examples:\n  postrider ldap sync --dry-run\n  postrider ldap sync example.com"
    )]
    Sync {
        /// Only of this domain.
        domain: Option<String>,
        /// Say what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Switch off as many accounts as are gone from the directory.
        #[arg(long)]
        force: bool,
    },
    /// Say step by step what a login of somebody finds in the directory.
    ///
    /// No password is asked for and nothing is changed. Exit status 1 if the login could not succeed.
    Test {
        /// The address, or what else is typed as user name.
        email: String,
    },
    /// Unbind an account from its entry in the directory.
    ///
    /// For somebody whose entry was made anew: the next synchronisation or login binds the account to the entry that has its address then.
    Unbind {
        /// The account's address.
        email: String,
    },
}

/// What to do with aliases.
#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Add an alias; a source may lead to several destinations.
    #[command(
        after_help = "Examples:\n  postrider alias add info@example.com ada@example.com\n  postrider alias add @example.com ada@example.com    (all other addresses of the domain)"
    )]
    Add {
        /// Address, or @domain for the catch-all.
        source: String,
        /// Address it leads to, here or elsewhere.
        destination: String,
    },
    /// List all aliases, or those of a domain.
    List {
        /// Only of this domain.
        domain: Option<String>,
    },
    /// Remove an alias, or all of a source.
    Remove {
        /// Address, or @domain.
        source: String,
        /// Only the one that leads here.
        destination: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
