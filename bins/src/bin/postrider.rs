//! `postrider`: the control program, and everything in one process.

use std::process::ExitCode;

use clap::Parser;
use postrider_bins::{cli::Cli, command};

fn main() -> ExitCode {
    command::main(Cli::parse())
}
