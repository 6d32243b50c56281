//! The session that believes nothing, and its dice, of the model of one process.

#[allow(dead_code)]
#[path = "../../core/engine/tests/engine/client.rs"]
pub mod client;
#[allow(dead_code)]
#[path = "../../core/engine/tests/model/dice.rs"]
pub mod dice;
#[allow(dead_code)]
#[path = "../../core/engine/tests/model/session.rs"]
pub mod session;

/// Where its sessions log in.
pub mod house {
    use super::client::Client;
    use crate::company::PASSWORD;

    /// An `imapd`.
    #[derive(Clone, Copy, Debug)]
    pub struct House(pub u16);

    impl House {
        /// An IMAP session of an account.
        pub async fn imap(&self, email: &str) -> Client {
            let mut client = Client::connect(self.0).await;
            client.line().await;
            let answer = client.imap(&format!("LOGIN {email} \"{PASSWORD}\"")).await;
            assert!(answer.is_ok(), "{answer:?}");
            client
        }
    }
}
