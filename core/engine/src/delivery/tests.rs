//! Lists over LMTP, against index and store in memory.

use std::sync::Arc;

use postrider_protocol::smtp::ask::{Body, ForwardPath};
use postrider_storage::blob::MemoryStore;
use postrider_storage::index::{
    AddAccounts, AddDomain, AuthType, Change, Index, MemoryIndex, ModSeq, NewAccount,
};

use super::*;
use crate::actor::{Budget, ByteCount, Escalation, ServiceRuntime, Supervisor};
use crate::blob::{PoolLimits, Spools};
use crate::net::peer::Remote;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const PATIENCE: Duration = Duration::from_secs(5);

struct Home {
    index: Arc<MemoryIndex>,
    delivery: Delivery,
    spools: Spools,
    taker: Taker,
    _folder: tempfile::TempDir,
}

impl Home {
    /// `ada@a.test` has room, `bob@a.test` has none.
    async fn new() -> Self {
        let index = Arc::new(MemoryIndex::new());
        let account = |email: &str, quota| NewAccount {
            email: email.into(),
            password: None,
            quota: Some(quota),
            auth: AuthType::Local,
        };
        let domain = AddDomain {
            name: "a.test".into(),
            auth: AuthType::Local,
            ldap_base_dn: None,
            now: NOW,
        };
        let accounts = AddAccounts {
            accounts: vec![account("ada@a.test", 100_000), account("bob@a.test", 1)],
            now: NOW,
        };
        let changes = vec![Change::AddDomain(domain), Change::AddAccounts(accounts)];
        for outcome in index.apply(changes).await {
            outcome.expect("done");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = ServiceRuntime::start(1, 4).expect("threads");
        let supervisor = Supervisor::new(Escalation::log_only());
        let pool = IndexPool::new(index.clone(), runtime.clone(), &supervisor);
        let store = Arc::new(MemoryStore::new());
        let blobs = BlobPool::new(store, runtime.clone(), PoolLimits::default());
        let mailboxes = Mailboxes::new(pool.clone(), &supervisor);
        let spools = Spools::open(folder.path().join("spool"), runtime).await;
        Self {
            index,
            delivery: Delivery::new(
                "mail.a.test".into(),
                100,
                PATIENCE,
                pool,
                blobs,
                mailboxes,
                Chain::default(),
            ),
            spools: spools.expect("a spool"),
            taker: Budget::new(ByteCount::mib(8)).taker(ByteCount::mib(8)),
            _folder: folder,
        }
    }

    async fn target(&self, email: &str) -> Target {
        let account = self.index.account(email).await.expect("an index");
        let account = account.expect("an account");
        let inbox = self.index.mailbox(account.id, INBOX).await;
        Target {
            inbox: inbox.expect("an index").expect("a mailbox").id,
            account,
        }
    }

    /// Sends a message over LMTP; each recipient leads to some accounts.
    async fn send(&self, recipients: &[&[&str]]) -> Vec<Delivered> {
        let mut routed = Vec::new();
        for emails in recipients {
            let mut targets = Vec::new();
            for email in *emails {
                targets.push(self.target(email).await);
            }
            let path = Some("list@a.test".parse().expect("an address"));
            routed.push(Recipient { path, targets });
        }
        let mut spool = self.spools.begin(&self.taker, PATIENCE);
        spool.append(b"Subject: x\r\n\r\ny\r\n").await;
        let spooled = spool.finish().await.expect("spooled");
        let envelope = Envelope {
            helo: "b.test".into(),
            reverse_path: None,
            forward_paths: routed
                .iter()
                .map(|it| ForwardPath {
                    address: it.path.clone(),
                    ..ForwardPath::default()
                })
                .collect(),
            returns: None,
            id: None,
            body: Body::default(),
            utf8: false,
            with: "LMTP",
        };
        let peer = Peer {
            remote: Remote::inet(([127, 0, 0, 1], 24).into()),
            local: None,
            proxy: None,
            tls: None,
        };
        let incoming = Incoming {
            peer: &peer,
            envelope: &envelope,
            recipients: &routed,
            spooled: &spooled,
            taker: &self.taker,
            submitter: None,
            answers: Answers::Each,
            report: None,
        };
        self.delivery.deliver(&incoming).await
    }

    async fn messages(&self, email: &str) -> usize {
        let inbox = self.target(email).await.inbox;
        let all = self.index.changes(inbox, ModSeq(0)).await;
        all.expect("an index").changed.len()
    }
}

#[actix::test]
async fn a_list_with_a_full_member_is_repeated_without_copies() {
    let home = Home::new().await;
    for _ in 0..3 {
        let list = ["ada@a.test", "bob@a.test"];
        assert_eq!(home.send(&[&list]).await, [Delivered::Full]);
    }
    assert_eq!(home.messages("ada@a.test").await, 0);
}

#[actix::test]
async fn recipients_stand_alone_and_an_account_gets_one_copy() {
    let home = Home::new().await;
    let outcomes = home
        .send(&[&["ada@a.test"], &["bob@a.test"], &["ada@a.test"]])
        .await;
    let full = Delivered::Full;
    assert_eq!(outcomes, [Delivered::Accepted, full, Delivered::Accepted]);
    assert_eq!(home.messages("ada@a.test").await, 1);
}

#[test]
fn an_account_that_went_meanwhile_is_no_reason_to_bounce() {
    let gone = failed(&Error::NotFound("mailbox"));
    assert_eq!(gone, Delivered::Unavailable);
}
