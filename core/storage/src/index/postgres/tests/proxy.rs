//! A connection that is cut where it hurts.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Where the next connection that commits is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Cut {
    Nowhere = 0,
    /// The server never sees the commit.
    Before = 1,
    /// The server commits, and its answer is lost.
    After = 2,
}

/// A way to the server.
pub(super) struct Proxy {
    pub(super) port: u16,
    cut: Arc<AtomicU8>,
}

impl Proxy {
    pub(super) async fn start(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU8::new(0));
        let cutting = cut.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = cutting.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await {
                        pass(client, server, &cut).await;
                    }
                });
            }
        });
        Proxy { port, cut }
    }

    /// Cuts the next connection that commits.
    pub(super) fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// Whether it was cut.
    pub(super) fn was_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == Cut::Nowhere as u8
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: &AtomicU8) {
    let (mut from_client, mut from_server) = (vec![0; 65536], vec![0; 65536]);
    let mut writes = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let sent = &from_client[..count];
                let commits = sent.windows(7).any(|it| it == b"COMMIT\0");
                // Reads commit too, but nobody waits for them.
                writes |= sent.windows(6).any(|it| it == b"INSERT");
                if commits && std::mem::take(&mut writes) {
                    match cut.swap(0, Ordering::SeqCst) {
                        1 => return,
                        2 => {
                            if server.write_all(sent).await.is_ok() {
                                // It has committed when it has answered.
                                let _ = answered(&mut server).await;
                            }
                            return;
                        }
                        _ => {}
                    }
                }
                if server.write_all(sent).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_server[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Waits for the word that the server says after a commit.
async fn answered(server: &mut TcpStream) -> std::io::Result<()> {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let count = server.read(&mut some).await?;
        all.extend_from_slice(&some[..count]);
        if count == 0 || all.windows(7).any(|it| it == b"COMMIT\0") {
            return Ok(());
        }
    }
}
