//! What only a file can get wrong.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::SqliteIndex;
use crate::index::{Index, contract};

async fn open(dir: &TempDir) -> SqliteIndex {
    let path = dir.path().join("index.db");
    SqliteIndex::open(path.to_str().unwrap(), 2).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let dirs = Mutex::new(Vec::new());
    contract::all(async || {
        let dir = TempDir::new().unwrap();
        let index = open(&dir).await;
        dirs.lock().unwrap().push(dir);
        Arc::new(index) as Arc<dyn Index>
    })
    .await;
}
