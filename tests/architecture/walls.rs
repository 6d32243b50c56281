//! Who may know whom. One direction: engine, then protocol and storage, which know neither the engine nor each other.

use super::manifest::dependencies;
use super::source::{Source, names, none, sources};

/// Runtimes, sockets, files and databases, as crates.
const OUTSIDE: &[&str] = &[
    "actix",
    "actix-rt",
    "async-trait",
    "diesel",
    "diesel-async",
    "futures-util",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "rustix",
    "rustls",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tracing",
    "xattr",
];

/// What a state machine may not touch: sockets, files, clocks, threads, the process it runs in.
const IMPURE: &[&str] = &[
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::os",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant",
    "Local::now",
    "Utc::now",
    "thread_local!",
    "tokio",
    "actix",
    "println!",
    "eprintln!",
    "dbg!",
];

/// Places in `folder` that name one of `words`; tests may.
fn naming(folder: &str, words: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources(folder).into_iter().filter(|it| !it.is_test()) {
        for (line, code) in source.code() {
            let found = words.iter().filter(|word| names(code, word));
            problems.extend(found.map(|word| format!("{}:{line} names {word}", source.path)));
        }
    }
    problems
}

fn knows(folder: &str, crates: &[&str]) -> Vec<String> {
    let known = dependencies(folder, "dependencies");
    let known = crates.iter().filter(|it| known.contains(**it));
    known
        .map(|it| format!("{folder}/Cargo.toml knows {it}"))
        .collect()
}

#[test]
fn the_protocols_know_no_runtime() {
    none(
        knows("core/protocol", OUTSIDE),
        "What is said needs no runtime, socket, file or clock:",
    );
}

#[test]
fn the_protocols_touch_nothing_outside() {
    none(
        naming("core/protocol/src", IMPURE),
        "Time, randomness and octets come to a session as inputs:",
    );
}

#[test]
fn the_protocols_know_no_socket_module() {
    // Addresses are plain values; everything else in that module is a socket.
    let mut problems = Vec::new();
    for source in sources("core/protocol/src")
        .into_iter()
        .filter(|it| !it.is_test())
    {
        for (line, code) in source.code().filter(|(_, code)| code.contains("std::net")) {
            let values = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr"];
            if !values.iter().any(|value| code.contains(value)) {
                problems.push(format!("{}:{line}", source.path));
            }
        }
    }
    none(
        problems,
        "Of std::net the protocols may name addresses, and by name:",
    );
}

#[test]
fn protocol_and_storage_know_neither_each_other_nor_the_engine() {
    let mut problems = knows("core/protocol", &["postrider-storage", "postrider"]);
    problems.extend(knows(
        "core/storage",
        &["postrider-protocol", "postrider", "actix", "actix-rt"],
    ));
    problems.extend(naming(
        "core/storage/src",
        &["actix", "actix_rt", "postrider_protocol"],
    ));
    problems.extend(naming("core/protocol/src", &["postrider_storage"]));
    none(
        problems,
        "The engine knows both; they do not know each other:",
    );
}

#[test]
fn the_binaries_are_thin() {
    none(
        knows("bins", &["postrider-protocol", "actix", "rustls", "diesel"]),
        "A binary asks the engine:",
    );
}

#[test]
fn sql_is_written_in_one_folder() {
    let engine = naming(
        "core/engine/src",
        &["diesel", "diesel_async", "libsqlite3_sys"],
    );
    let mut storage = naming("core/storage/src", &["diesel", "diesel_async"]);
    storage.retain(|it| !it.starts_with("core/storage/src/index/"));
    none(
        [engine, storage].concat(),
        "SQL belongs into core/storage/src/index:",
    );
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent =
        |source: &Source| !source.text.starts_with("//! ") && !source.text.starts_with("#![");
    let folders = ["core", "bins", "tests", "benches", "examples"];
    let files = folders
        .into_iter()
        .filter(|it| super::source::root().join(it).is_dir());
    let mut problems = Vec::new();
    for folder in files.filter(|it| *it != "examples" || has_rust("examples")) {
        problems.extend(sources(folder).into_iter().filter(silent).map(|it| it.path));
    }
    none(problems, "A file begins with \"//!\" and what it is:");
}

fn has_rust(folder: &str) -> bool {
    let entries = std::fs::read_dir(super::source::root().join(folder)).expect("a readable folder");
    entries
        .flatten()
        .any(|it| it.path().extension().is_some_and(|it| it == "rs"))
}
