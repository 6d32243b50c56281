//! A table whose entries end by themselves.
//!
//! **Bounds.** Never more entries than its limit: the one that would be too many first drives out what has ended, then the eighth that would
//! end soonest.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::time::Instant;

/// The table.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    limit: usize,
    entries: HashMap<K, (V, Instant)>,
}

impl<K: Eq + Hash, V> Expiring<K, V> {
    /// An empty table for at most `limit` entries.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            entries: HashMap::new(),
        }
    }

    /// What is kept under this key, if it has not ended.
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<&V> {
        let (value, until) = self.entries.get(key)?;
        (*until > now).then_some(value)
    }

    /// Keeps a value until a moment.
    pub(super) fn insert(&mut self, key: K, value: V, until: Instant, now: Instant) {
        if self.entries.len() >= self.limit && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        self.entries.insert(key, (value, until));
    }

    /// Forgets what is kept under this key.
    pub(super) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, (_, until)| *until > now);
        if self.entries.len() < self.limit {
            return;
        }
        let mut ends: Vec<Instant> = self.entries.values().map(|(_, until)| *until).collect();
        let mut surplus = self.limit / 8 + 1;
        let (_, &mut last, _) = ends.select_nth_unstable(surplus - 1);
        self.entries.retain(|_, (_, until)| {
            let goes = *until <= last && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_end() {
        let mut table = Expiring::new(8);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        table.insert("a", 1, now + second, now);
        assert_eq!(table.get(&"a", now), Some(&1));
        assert_eq!(table.get(&"a", now + second), None);
        table.insert("a", 2, now + 2 * second, now);
        assert_eq!(table.get(&"a", now + second), Some(&2));
        assert_eq!(table.get(&"b", now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_forgets_what_ends_soonest() {
        let now = Instant::now();
        let mut table = Expiring::new(16);
        for n in 0..1000u64 {
            table.insert(n, (), now + Duration::from_secs(n + 1), now);
            assert!(table.len() <= 16);
            assert!(table.get(&n, now).is_some(), "the newest stays");
        }
        assert!(table.get(&990, now).is_some());
        let mut alike = Expiring::new(16);
        for n in 0..100 {
            alike.insert(n, (), now + Duration::from_secs(1), now);
            assert!((1..=16).contains(&alike.len()));
        }
        assert!(alike.len() >= 13, "those that end together do not all go");
        let mut single = Expiring::new(0);
        single.insert(1, (), now + Duration::from_secs(1), now);
        single.insert(2, (), now + Duration::from_secs(1), now);
        assert_eq!(single.len(), 1);
    }
}
