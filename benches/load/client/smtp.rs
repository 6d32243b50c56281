//! SMTP and LMTP as a client (RFC 5321, RFC 2033), one connection for many messages.

use crate::fault::Fault;
use crate::net::{Target, Wire};
use crate::pattern::Security;

/// Which of the two is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// One reply after the message.
    Smtp,
    /// One reply a recipient after the message.
    Lmtp,
}

/// How commands are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rhythm {
    /// Each waits for the reply to the one before.
    Stepwise,
    /// MAIL, RCPT and DATA at once (RFC 2920).
    Pipelined,
}

/// One open connection.
pub struct Client {
    wire: Wire,
    dialect: Dialect,
    rhythm: Rhythm,
    /// Message and final dot, sent at once.
    outgoing: Vec<u8>,
}

impl Client {
    /// Connects and says hello; logs in as `login` (name, password) where given.
    pub async fn open(
        target: &Target,
        dialect: Dialect,
        rhythm: Rhythm,
        login: Option<(&str, &str)>,
    ) -> Result<Self, Fault> {
        let wire = Wire::connect(target).await?;
        let mut client = Self {
            wire,
            dialect,
            rhythm,
            outgoing: Vec::new(),
        };
        client.reply(b'2').await?;
        client.hello().await?;
        if target.security == Security::StartTls {
            client.command("STARTTLS\r\n", b'2').await?;
            client.wire.secure(target).await?;
            client.hello().await?;
        }
        if let Some((name, password)) = login {
            client
                .command(
                    &format!(
                        "AUTH PLAIN {}\r\n",
                        base64(format!("\0{name}\0{password}").as_bytes())
                    ),
                    b'2',
                )
                .await?;
        }
        Ok(client)
    }

    /// Sends one message (with CRLF line ends and no line beginning with a dot) and says which recipients, by
    /// their place, have it.
    pub async fn send(
        &mut self,
        from: &str,
        to: &[String],
        message: &[u8],
    ) -> Result<Vec<usize>, Fault> {
        let mut taken = Vec::with_capacity(to.len());
        match self.rhythm {
            Rhythm::Stepwise => {
                self.command(&format!("MAIL FROM:<{from}>\r\n"), b'2')
                    .await?;
                for recipient in to {
                    self.wire
                        .write(format!("RCPT TO:<{recipient}>\r\n").as_bytes())
                        .await?;
                    if let Err(fault) = self.reply(b'2').await {
                        return self.give_up(fault).await;
                    }
                }
                if let Err(fault) = self.command("DATA\r\n", b'3').await {
                    return self.give_up(fault).await;
                }
            }
            Rhythm::Pipelined => {
                let mut commands = format!("MAIL FROM:<{from}>\r\n");
                for recipient in to {
                    commands.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
                }
                commands.push_str("DATA\r\n");
                self.wire.write(commands.as_bytes()).await?;
                let mut refused = None;
                for _ in 0..=to.len() {
                    refused = keep_first(refused, self.reply(b'2').await)?;
                }
                // After a refused RCPT the server may still want the message: RFC 2920 section 3.1.
                match (self.reply(b'3').await, refused) {
                    (Ok(()), None) => {}
                    (Ok(()), Some(fault)) => {
                        self.wire.write(b".\r\n").await?;
                        let replies = if self.dialect == Dialect::Lmtp {
                            to.len()
                        } else {
                            1
                        };
                        for _ in 0..replies {
                            keep_first(None, self.reply(b'2').await)?;
                        }
                        return Err(fault);
                    }
                    (Err(fault), first) => return self.give_up(first.unwrap_or(fault)).await,
                }
            }
        }
        self.outgoing.clear();
        self.outgoing.extend_from_slice(message);
        self.outgoing.extend_from_slice(b".\r\n");
        self.wire.write(&self.outgoing).await?;
        match self.dialect {
            Dialect::Smtp => {
                self.reply(b'2').await?;
                taken.extend(0..to.len());
            }
            Dialect::Lmtp => {
                let mut refused = None;
                for place in 0..to.len() {
                    match self.reply(b'2').await {
                        Ok(()) => taken.push(place),
                        Err(fault) if fault.spares_connection() => {
                            refused = refused.or(Some(fault))
                        }
                        Err(fault) => return Err(fault),
                    }
                }
                if let (Some(fault), true) = (refused, taken.is_empty()) {
                    return Err(fault);
                }
            }
        }
        Ok(taken)
    }

    /// Says goodbye.
    pub async fn quit(mut self) -> Result<(), Fault> {
        self.command("QUIT\r\n", b'2').await
    }

    async fn hello(&mut self) -> Result<(), Fault> {
        let verb = match self.dialect {
            Dialect::Smtp => "EHLO",
            Dialect::Lmtp => "LHLO",
        };
        self.command(&format!("{verb} load.example.test\r\n"), b'2')
            .await
    }

    /// Clears the transaction for the next message and tells why this one failed.
    async fn give_up<T>(&mut self, fault: Fault) -> Result<T, Fault> {
        if fault.spares_connection() {
            self.command("RSET\r\n", b'2').await?;
        }
        Err(fault)
    }

    async fn command(&mut self, command: &str, good: u8) -> Result<(), Fault> {
        self.wire.write(command.as_bytes()).await?;
        self.reply(good).await
    }

    /// Reads one reply, of one line or more; it must begin with the digit `good`.
    async fn reply(&mut self, good: u8) -> Result<(), Fault> {
        loop {
            let line = self.wire.line().await?;
            match line {
                [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b'-', ..] => {}
                [digit @ b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', ..] if *digit == good => {
                    return Ok(());
                }
                [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', ..] => return Err(Fault::refused(line)),
                _ => return Err(Fault::protocol(line)),
            }
        }
    }
}

/// Keeps the first refusal and goes on; what costs the connection ends it.
fn keep_first(first: Option<Fault>, reply: Result<(), Fault>) -> Result<Option<Fault>, Fault> {
    match reply {
        Ok(()) => Ok(first),
        Err(fault) if fault.spares_connection() => Ok(first.or(Some(fault))),
        Err(fault) => Err(fault),
    }
}

/// Base 64 (RFC 4648 section 4), for AUTH PLAIN.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in octets.chunks(3) {
        let group = (0..3).fold(0u32, |group, at| {
            group << 8 | u32::from(*chunk.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let sextet = ALPHABET[(group >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() {
                char::from(sextet)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648_section_10() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
