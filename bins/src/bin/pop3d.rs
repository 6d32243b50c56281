//! `pop3d`: POP3.

use std::process::ExitCode;

fn main() -> ExitCode {
    postrider_bins::daemon::main(postrider::config::Program::Pop3d)
}
