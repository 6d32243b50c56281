//! `imapd`: IMAP.

use std::process::ExitCode;

fn main() -> ExitCode {
    postrider_bins::daemon::main(postrider::config::Program::Imapd)
}
