//! Our own trouble: it is said to be ours, ends in time, and bans nobody.

use postrider_storage::index::AuthType;
use tokio::sync::Semaphore;

use super::super::super::memory::MemoryResolver;
use super::*;

#[tokio::test(start_paused = true)]
async fn an_index_that_is_away_is_later_and_bans_nobody() {
    let house = House::new().await;
    house.accounts.away.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        assert_eq!(
            login(&house, HOME, ADA, "wrong").await,
            Err(Verdict::Unavailable)
        );
    }
    house.accounts.away.store(false, Ordering::SeqCst);
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_deadline_ends_everything() {
    let house = House::new().await;
    *house.passwords.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let began = Instant::now();
    let attempts = (0..30).map(|n| {
        let (house, name) = (&house, format!("user{n}@example.test"));
        async move { login(house, HOME, &name, "secret").await }
    });
    for result in join_all(attempts).await {
        assert_eq!(result, Err(Verdict::Unavailable));
    }
    assert_eq!(began.elapsed(), MINUTE);
    *house.passwords.gate.lock().unwrap() = None;
    assert!(login(&house, HOME, ADA, "secret").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn guesses_count_also_while_a_directory_is_down() {
    let memory = Arc::new(MemoryResolver::default());
    memory.set_broken(Some("down"));
    let house = House::with(settings(), vec![memory]).await;
    for _ in 0..5 {
        assert_eq!(
            login(&house, HOME, ADA, "wrong").await,
            Err(Verdict::Unavailable)
        );
    }
    assert_eq!(
        login(&house, HOME, ADA, "secret").await,
        Err(Verdict::Throttled)
    );
    // Those whom only the directory knows come back until it does.
    house
        .accounts
        .add("ldap@example.test", None, AuthType::Ldap)
        .await;
    for _ in 0..50 {
        let result = login(&house, "192.0.2.2", "ldap@example.test", "right").await;
        assert_eq!(result, Err(Verdict::Unavailable));
    }
}
