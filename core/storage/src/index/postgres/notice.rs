//! Telling other processes what changed, and hearing from them.
//!
//! After a commit what it changed is noted; every few milliseconds all that was noted goes out as one `NOTIFY`, outside of any transaction (inside,
//! it would make all commits wait for each other). One connection listens. Behind a pooler that gives each transaction another connection it would
//! wait for ever, so each time it begins it sends itself a word.
//!
//! **Bounds.** A notice has at most [`PAYLOAD`] octets; what is noted beyond [`NOTED`] mailboxes becomes "anything".
//! **On failure.** Notices may be lost: whoever listens again takes it that anything happened. While nobody listens, [`Notices::missed`] counts
//! what the database tells of by itself.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, broadcast, mpsc},
    time::{sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client, types::Type};

use super::{pool::Pool, serving};
use crate::{
    Error,
    index::{AccountId, Change, MailboxId, ModSeq, News, Outcome},
};

/// The name of what processes listen to.
const CHANNEL: &str = "postrider";
/// How long a notice waits for others to go with it.
const GATHER: Duration = Duration::from_millis(3);
/// Octets of a notice; the server takes 8000.
const PAYLOAD: usize = 7_900;
/// Mailboxes noted at once.
const NOTED: usize = 10_000;
/// News that a listener may be behind.
const BEHIND: usize = 4_096;
/// How long a word to oneself may take.
const ECHO: Duration = Duration::from_secs(10);
/// How often an idle connection is used, so that one which is gone is found.
const STILL_THERE: Duration = Duration::from_secs(20);
/// How long an index that opens waits until it listens.
const START: Duration = Duration::from_secs(5);
/// Pause before listening again.
const AGAIN: Duration = Duration::from_millis(500);

/// Both directions.
pub(super) struct Notices {
    /// Of one connection, which is dialled and never given back.
    listener: Arc<Pool>,
    /// Who says it: what comes back to its sender is no news.
    name: String,
    noted: Mutex<Noted>,
    something: Notify,
    /// The first attempt to listen came to something.
    begun: Notify,
    news: broadcast::Sender<News>,
    hears: AtomicBool,
    missed: AtomicI64,
    transaction: AtomicI64,
}

/// What goes out next.
#[derive(Debug, Default)]
struct Noted {
    directory: bool,
    anything: bool,
    mailboxes: HashMap<MailboxId, (AccountId, ModSeq)>,
}

impl Notices {
    pub(super) fn new(listener: Arc<Pool>) -> Notices {
        let mut chance = [0; 8];
        // Without chance two processes might take each other's news for their own; then polling finds them.
        let _ = getrandom::fill(&mut chance);
        let name = u64::from_ne_bytes(chance) ^ u64::from(std::process::id());
        Notices {
            listener,
            name: format!("{name:016x}"),
            noted: Mutex::default(),
            something: Notify::new(),
            begun: Notify::new(),
            news: broadcast::Sender::new(BEHIND),
            hears: AtomicBool::new(false),
            missed: AtomicI64::new(0),
            transaction: AtomicI64::new(0),
        }
    }

    /// Tells and listens as long as somebody holds these. Returns when it listens, or when that takes its time.
    pub(super) async fn start(self: Arc<Self>, pool: &Arc<Pool>) {
        let notices = Arc::downgrade(&self);
        let runtime = &pool.runtime;
        let begun = self.begun.notified();
        runtime.spawn(listen(notices.clone(), self.listener.clone(), pool.clone()));
        runtime.spawn(tell(notices, pool.clone()));
        // Without it the index works too.
        let _ = timeout(START, begun).await;
    }

    /// Sends what was noted.
    pub(super) async fn flush(&self, pool: &Arc<Pool>) {
        for payload in self.take().payloads(&self.name) {
            if let Err(error) = send(pool, payload).await {
                // Whoever does not hear of it looks in a while.
                tracing::debug!(%error, "a notice was not sent");
            }
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// This process, as nobody else is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether notices of others arrive.
    pub(super) fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    /// How often others may have changed something that no news told of.
    pub(super) fn missed(&self) -> i64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The highest transaction of the database, while nobody listens.
    pub(super) fn saw_transaction(&self, highest: i64) {
        if self.transaction.swap(highest, Ordering::Relaxed) != highest {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes what a batch changed.
    pub(super) fn tell(&self, changes: &[Change], answers: &[Result<Outcome, Error>]) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for (change, answer) in changes.iter().zip(answers) {
            if let Ok(outcome) = answer {
                noted.add(change, outcome);
            }
        }
        if !noted.is_empty() {
            drop(noted);
            self.something.notify_one();
        }
    }

    fn take(&self) -> Noted {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *noted)
    }

    /// Takes a notice apart. Returns whether it is a word to oneself.
    fn heard(&self, payload: &str) -> bool {
        let mut words = payload.split(' ');
        if words.next() == Some(&self.name) {
            return true;
        }
        for word in words {
            // What other programs changed with SQL of their own raised no counter.
            self.missed
                .fetch_add(i64::from(word == "d"), Ordering::Relaxed);
            let news = match word {
                "d" => News::Directory,
                word => mailbox(word).unwrap_or(News::Anything),
            };
            // Nobody may be listening here.
            let _ = self.news.send(news);
        }
        false
    }

    fn listens(&self, hears: bool) {
        self.hears.store(hears, Ordering::Relaxed);
        // What happened before is not known.
        self.missed.fetch_add(1, Ordering::Relaxed);
        let _ = self.news.send(News::Anything);
    }
}

/// `account.mailbox.modseq`
fn mailbox(word: &str) -> Option<News> {
    let mut numbers = word.split('.');
    let account = AccountId(numbers.next()?.parse().ok()?);
    let mailbox = MailboxId(numbers.next()?.parse().ok()?);
    let modseq = ModSeq(numbers.next()?.parse().ok()?);
    Some(News::Mailbox {
        account,
        mailbox,
        modseq,
    })
}

impl Noted {
    fn is_empty(&self) -> bool {
        !self.directory && !self.anything && self.mailboxes.is_empty()
    }

    fn add(&mut self, change: &Change, outcome: &Outcome) {
        self.directory |= crate::index::check::of_directory(change);
        match (change, outcome) {
            (Change::Append(it), Outcome::Appended(appended)) => {
                self.mailbox(it.account, it.mailbox, appended.modseq);
            }
            (Change::AppendAll(all), Outcome::AllAppended(appended)) => {
                for (it, appended) in all.appends.iter().zip(appended) {
                    self.mailbox(it.account, it.mailbox, appended.modseq);
                }
            }
            // Whose it is does not matter to who has it open.
            (Change::Store(it), Outcome::Stored(stored)) => {
                let highest = ModSeq(stored.highest_modseq);
                self.mailbox(AccountId(0), it.mailbox, highest);
            }
            (Change::Reflag(it), Outcome::Stored(stored)) => {
                self.mailbox(it.account, it.mailbox, ModSeq(stored.highest_modseq));
            }
            (Change::Expunge(it), Outcome::Expunged(gone)) if !gone.uids.is_empty() => {
                self.mailbox(it.account, it.mailbox, ModSeq(gone.highest_modseq));
            }
            (Change::ExpungeMaildrop(it), Outcome::Expunged(gone)) if !gone.uids.is_empty() => {
                let it = &it.expunge;
                self.mailbox(it.account, it.mailbox, ModSeq(gone.highest_modseq));
            }
            // What it became is not in the answer: who has it looks.
            (Change::Copy(it), Outcome::Copied(copied)) if !copied.to.is_empty() => {
                self.mailbox(it.account, it.to, ModSeq(u64::MAX));
                self.mailbox(it.account, it.from, ModSeq(u64::MAX));
            }
            (Change::Restore(it), Outcome::Copied(copied)) if !copied.to.is_empty() => {
                self.mailbox(it.account, it.to, ModSeq(u64::MAX));
            }
            (Change::PlaceMessages(it), Outcome::Placed(placed))
                if placed.iter().any(Option::is_some) =>
            {
                self.mailbox(it.account, it.mailbox, ModSeq(u64::MAX));
            }
            (
                Change::DeleteMailbox(_)
                | Change::PlaceMailbox(_)
                | Change::RenameMailbox(_)
                | Change::RemoveAccount(_)
                | Change::RenewUidValidities(_),
                _,
            ) => self.anything = true,
            _ => {}
        }
    }

    fn mailbox(&mut self, account: AccountId, mailbox: MailboxId, modseq: ModSeq) {
        if self.mailboxes.len() >= NOTED {
            self.mailboxes.clear();
            self.anything = true;
        }
        let entry = self.mailboxes.entry(mailbox).or_insert((account, modseq));
        entry.1 = entry.1.max(modseq);
    }

    /// As notices.
    fn payloads(self, name: &str) -> Vec<String> {
        let mut words = Vec::with_capacity(self.mailboxes.len() + 2);
        if self.directory {
            words.push("d".to_owned());
        }
        if self.anything {
            words.push("*".to_owned());
        } else {
            let mailboxes = self.mailboxes.into_iter();
            words.extend(
                mailboxes.map(|(id, (account, modseq))| format!("{account}.{id}.{modseq}")),
            );
        }
        let mut payloads: Vec<String> = Vec::new();
        for word in words {
            match payloads.last_mut() {
                Some(last) if last.len() + 1 + word.len() <= PAYLOAD => {
                    last.push(' ');
                    last.push_str(&word);
                }
                _ => payloads.push(format!("{name} {word}")),
            }
        }
        payloads
    }
}

/// Sends what was noted, until the index is gone.
async fn tell(notices: Weak<Notices>, pool: Arc<Pool>) {
    while let Some(strong) = notices.upgrade() {
        // Wakes up now and then to see whether the index is still there.
        let waited = timeout(STILL_THERE, strong.something.notified()).await;
        if waited.is_err() {
            continue;
        }
        sleep(GATHER).await;
        strong.flush(&pool).await;
    }
}

async fn send(pool: &Arc<Pool>, payload: String) -> Result<(), Error> {
    let mut lease = pool.lease().await?;
    let back = pool.clone();
    let sent = tokio::task::spawn_blocking(move || {
        lease.conn.forget();
        let sent = lease.conn.with(async |client| say(client, &payload).await);
        back.give_back(lease);
        sent
    });
    let sent = sent
        .await
        .map_err(|it| Error::Unavailable(it.to_string()))?;
    sent.map_err(|it| Error::Unavailable(it.to_string()))
}

async fn say(client: &Client, payload: &str) -> Result<(), tokio_postgres::Error> {
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&CHANNEL, Type::TEXT), (&payload, Type::TEXT)];
    let said = client.query_typed("SELECT pg_notify($1, $2)", &values);
    said.await.map(|_| ())
}

/// Listens, and again when the connection is lost, until the index is gone.
async fn listen(notices: Weak<Notices>, listener: Arc<Pool>, pool: Arc<Pool>) {
    let mut told = false;
    loop {
        let ended = hear(&notices, &listener, &pool).await;
        let Some(strong) = notices.upgrade() else {
            return;
        };
        strong.begun.notify_waiters();
        if strong.hears.swap(false, Ordering::Relaxed) {
            strong.missed.fetch_add(1, Ordering::Relaxed);
            told = false;
        }
        drop(strong);
        match ended {
            // Said once, not twice a second.
            Err(error) if !told => {
                told = true;
                tracing::warn!(%error, "news of other processes do not arrive; they are asked for instead");
            }
            _ => {}
        }
        sleep(if told { AGAIN * 4 } else { AGAIN }).await;
    }
}

/// Listens until the connection or the index is gone.
async fn hear(notices: &Weak<Notices>, listener: &Pool, pool: &Arc<Pool>) -> Result<(), String> {
    let (client, mut connection) = listener.dial().await?;
    let (words, mut spoken) = mpsc::channel::<String>(64);
    let driver = tokio::spawn(async move {
        let next = |cx: &mut std::task::Context<'_>| connection.poll_message(cx);
        let mut messages = futures_util::stream::poll_fn(next);
        while let Some(message) = futures_util::StreamExt::next(&mut messages).await {
            match message {
                Ok(AsyncMessage::Notification(it)) => {
                    if words.send(it.payload().to_owned()).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    let heard = attend(notices, &client, pool, &mut spoken).await;
    driver.abort();
    heard
}

async fn attend(
    notices: &Weak<Notices>,
    client: &Client,
    pool: &Arc<Pool>,
    spoken: &mut mpsc::Receiver<String>,
) -> Result<(), String> {
    let told = |it: tokio_postgres::Error| super::conn::text(&it);
    let name = match notices.upgrade() {
        Some(strong) => strong.name.clone(),
        None => return Ok(()),
    };
    client
        .batch_execute(&format!("LISTEN {CHANNEL}"))
        .await
        .map_err(told)?;
    // By another connection: a pooler shows an answer to who asked for it, and nothing to who waits.
    let said = send(pool, name.clone()).await;
    said.map_err(|it| it.to_string())?;
    let echo = async {
        while let Some(word) = spoken.recv().await {
            if word == name {
                return true;
            }
        }
        false
    };
    if !timeout(ECHO, echo).await.unwrap_or(false) {
        return Err(
            "LISTEN hears nothing: with a pooler that gives each transaction another connection, \
             database.listen_url has to name the database itself"
                .to_owned(),
        );
    }
    // Not before: on a connection of a pooler the lock would stay with somebody else.
    client.batch_execute(&serving::lock()).await.map_err(told)?;
    if let Some(strong) = notices.upgrade() {
        strong.listens(true);
        strong.begun.notify_waiters();
    }
    loop {
        let word = timeout(STILL_THERE, spoken.recv()).await;
        let Some(strong) = notices.upgrade() else {
            return Ok(());
        };
        match word {
            Ok(Some(word)) => {
                strong.heard(&word);
            }
            Ok(None) => return Err("the connection that listens was lost".to_owned()),
            Err(_) => {
                // A connection that is silently gone fails here.
                let asked = timeout(ECHO, client.batch_execute("")).await;
                match asked {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(told(error)),
                    Err(_) => return Err("the connection that listens is silent".to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_comes_apart_as_it_was_put_together() {
        let mut noted = Noted::default();
        for id in 0..2000 {
            noted.mailbox(AccountId(7), MailboxId(id), ModSeq(3));
            noted.mailbox(AccountId(7), MailboxId(id), ModSeq(2));
        }
        noted.directory = true;
        let payloads = noted.payloads("me");
        assert!(payloads.len() > 1 && payloads.iter().all(|it| it.len() <= PAYLOAD));
        let mut found = Vec::new();
        for payload in &payloads {
            let words = payload.strip_prefix("me ").expect("who says it").split(' ');
            found.extend(words.filter(|it| *it != "d").filter_map(mailbox));
        }
        assert_eq!(found.len(), 2000);
        assert!(found.iter().all(|it| matches!(
            it,
            News::Mailbox {
                modseq: ModSeq(3),
                ..
            }
        )));
        assert_eq!(mailbox("7.x.3"), None);
    }

    #[test]
    fn too_many_mailboxes_are_anything() {
        let mut noted = Noted::default();
        for id in 0..=NOTED as i64 {
            noted.mailbox(AccountId(7), MailboxId(id), ModSeq(3));
        }
        assert_eq!(noted.payloads("me"), ["me *"]);
    }
}
