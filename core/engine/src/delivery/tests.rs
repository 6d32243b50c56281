//! Lists, crowds of recipients and filters that hang, against index and store in memory.

use std::sync::Arc;

use postrider_protocol::smtp::ask::{Body, ForwardPath};
use postrider_storage::blob::{Fault, MemoryStore, Operation};
use postrider_storage::index::{
    AddAccounts, AddDomain, AuthType, Change, Index, MemoryIndex, ModSeq, NewAccount,
};

use super::*;
use crate::actor::{Budget, ByteCount, Escalation, ServiceRuntime, Supervisor};
use crate::blob::{PoolLimits, Spools};
use crate::filter::{Filter, FilterError, OnFailure};
use crate::net::peer::Remote;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const PATIENCE: Duration = Duration::from_secs(5);

struct Home {
    index: Arc<MemoryIndex>,
    store: MemoryStore,
    delivery: Delivery,
    spools: Spools,
    taker: Taker,
    _folder: tempfile::TempDir,
}

impl Home {
    /// `ada@a.test` has room, `bob@a.test` has none.
    async fn new() -> Self {
        Self::with(Chain::default()).await
    }

    /// The same, with filters.
    async fn with(filters: Chain) -> Self {
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
        let store = MemoryStore::new();
        let blobs = BlobPool::new(
            Arc::new(store.clone()),
            runtime.clone(),
            PoolLimits::default(),
        );
        let mailboxes = Mailboxes::new(pool.clone(), &supervisor);
        let spools = Spools::open(folder.path().join("spool"), runtime).await;
        Self {
            index,
            store,
            delivery: Delivery::new(
                "mail.a.test".into(),
                100,
                PATIENCE,
                pool,
                blobs,
                mailboxes,
                filters,
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

    /// Adds accounts with room.
    async fn crowd(&self, size: usize) -> Vec<String> {
        let emails: Vec<String> = (0..size).map(|n| format!("user{n}@a.test")).collect();
        let accounts = emails.iter().map(|email| NewAccount {
            email: email.clone(),
            password: None,
            quota: Some(100_000),
            auth: AuthType::Local,
        });
        let accounts = AddAccounts {
            accounts: accounts.collect(),
            now: NOW,
        };
        let added = self.index.apply(vec![Change::AddAccounts(accounts)]).await;
        assert!(added.iter().all(Result::is_ok), "{added:?}");
        emails
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

/// Lets a store stand still, and says how many bodies are on their way to it then, but for `most`.
async fn at_once(home: &Home, recipients: &[&[&str]], most: usize) {
    let all: usize = recipients.iter().map(|it| it.len()).sum();
    for _ in 0..all {
        home.store.fault(Operation::Put, Fault::Stall);
    }
    let watch = async {
        home.store.stalled(most).await;
        let more = home.store.stalled(most + 1);
        let more = tokio::time::timeout(Duration::from_millis(300), more).await;
        assert!(more.is_err(), "more than {most} at a time");
        // What comes into the places that are free stands still too.
        loop {
            home.store.resume();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        outcomes = home.send(recipients) => {
            assert_eq!(outcomes, vec![Delivered::Accepted; recipients.len()]);
        }
        () = watch => {}
    }
}

#[actix::test]
async fn so_many_recipients_of_lmtp_are_delivered_to_at_a_time() {
    let home = Home::new().await;
    let emails = home.crowd(3 * EACH_AT_ONCE).await;
    let each: Vec<[&str; 1]> = emails.iter().map(|it| [it.as_str()]).collect();
    let recipients: Vec<&[&str]> = each.iter().map(|it| &it[..]).collect();
    at_once(&home, &recipients, EACH_AT_ONCE).await;
    for email in &emails {
        assert_eq!(home.messages(email).await, 1, "{email}");
    }
}

#[actix::test]
async fn so_many_copies_are_written_at_a_time() {
    let home = Home::new().await;
    let emails = home.crowd(2 * AT_ONCE).await;
    let list: Vec<&str> = emails.iter().map(String::as_str).collect();
    at_once(&home, &[&list], AT_ONCE).await;
    for email in &emails {
        assert_eq!(home.messages(email).await, 1, "{email}");
    }
}

/// Never answers.
struct Hangs;

#[async_trait::async_trait]
impl Filter for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    async fn check(&self, _: &Message<'_>) -> Result<Verdict, FilterError> {
        std::future::pending().await
    }
}

#[actix::test]
async fn attack_25_a_filter_that_hangs_defers_its_message_in_time() {
    let filters = vec![(Arc::new(Hangs) as Arc<dyn Filter>, OnFailure::Defer)];
    let home = Home::with(Chain::with_places(filters, 4)).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let outcomes = home.send(&[&["ada@a.test"]]).await;
    assert_eq!(outcomes, [Delivered::Unavailable]);
    assert!(began.elapsed() >= crate::filter::chain::DEADLINE);
    tokio::time::resume();
    assert_eq!(home.messages("ada@a.test").await, 0);
}

#[test]
fn an_account_that_went_meanwhile_is_no_reason_to_bounce() {
    let gone = failed(&Error::NotFound("mailbox"));
    assert_eq!(gone, Delivered::Unavailable);
}
