//! POP3 as a client (RFC 1939).

use crate::fault::Fault;
use crate::net::{Target, Wire};
use crate::pattern::Security;

/// One open connection.
pub struct Client {
    wire: Wire,
}

impl Client {
    /// Connects and logs in.
    pub async fn log_in(target: &Target, user: &str, password: &str) -> Result<Self, Fault> {
        let mut client = Self {
            wire: Wire::connect(target).await?,
        };
        client.status().await?;
        if target.security == Security::StartTls {
            client.command("STLS").await?;
            client.wire.secure(target).await?;
        }
        client.command(&format!("USER {user}")).await?;
        client.command(&format!("PASS {password}")).await?;
        Ok(client)
    }

    /// STAT: how many messages.
    pub async fn stat(&mut self) -> Result<u64, Fault> {
        self.wire.write(b"STAT\r\n").await?;
        let line = self.wire.line().await?;
        let count = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.strip_prefix("+OK ")?.split(' ').next()?.parse().ok());
        count.ok_or_else(|| Fault::refused(line))
    }

    /// RETR: reads a message and throws it away; its octets on the wire.
    pub async fn retrieve(&mut self, number: u64) -> Result<u64, Fault> {
        self.command(&format!("RETR {number}")).await?;
        let mut octets = 0;
        loop {
            let line = self.wire.line().await?;
            if line == b"." {
                return Ok(octets);
            }
            octets += line.len() as u64 + 2;
        }
    }

    /// QUIT.
    pub async fn quit(mut self) -> Result<(), Fault> {
        self.command("QUIT").await
    }

    async fn command(&mut self, command: &str) -> Result<(), Fault> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.status().await
    }

    async fn status(&mut self) -> Result<(), Fault> {
        let line = self.wire.line().await?;
        if line.starts_with(b"+OK") {
            Ok(())
        } else {
            Err(Fault::refused(line))
        }
    }
}
