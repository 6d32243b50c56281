//! `contrib/two-hosts`: the demonstration, by itself, where this machine allows network namespaces.

use std::path::Path;
use std::process::Command;

use postrider_tests::daemon::program;

/// How it ends where it may not make namespaces.
const SKIPPED: i32 = 77;

#[test]
fn attack_45_a_host_that_is_killed_or_cut_off_costs_clients_a_reconnect() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/two-hosts/two-hosts");
    let said = Command::new("python3")
        .arg(script)
        .arg("check")
        .env("POSTRIDER_BIN_DIR", program().parent().unwrap())
        .output()
        .expect("python3: install the Debian package python3");
    let (out, errors) = (
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr),
    );
    println!("{out}{errors}");
    if said.status.code() == Some(SKIPPED) {
        println!("skipped, two hosts need namespaces: {errors}");
        return;
    }
    assert!(said.status.success(), "{out}\n{errors}");
    assert!(out.contains("all is well"), "{out}");
}
