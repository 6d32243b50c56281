//! `test-bucket ADDRESS`: the S3 server of the tests as a program, for what runs other programs around it. Its objects are in memory.

#[allow(dead_code, unused_imports)] // nothing here goes wrong
mod server;

use server::{ACCESS, BUCKET, REGION, SECRET, Server};

fn main() {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("usage: test-bucket ADDRESS:PORT");
        std::process::exit(2);
    };
    let server = Server::start_at(&address);
    println!(
        "{}: bucket {BUCKET}, region {REGION}, access key {ACCESS}, secret key {SECRET}",
        server.endpoint()
    );
    loop {
        std::thread::park();
    }
}
