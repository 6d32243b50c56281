//! The model is measured by the contract, and breaks when told.

use std::sync::Arc;

use super::MemoryIndex;
use crate::{
    Error,
    index::{Index, contract},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    contract::all(async || Arc::new(MemoryIndex::new()) as _).await;
}

#[tokio::test]
async fn breaks_and_heals() {
    let index = MemoryIndex::new();
    let away = Error::Unavailable("on purpose".to_owned());
    index.break_with(Some(away.clone()));
    let add = || vec![contract::add_domain("example.test")];
    assert_eq!(index.apply(add()).await, [Err(away.clone())]);
    assert_eq!(index.domains().await, Err(away.clone()));
    assert_eq!(index.probe().await, Err(away));
    index.break_with(None);
    assert!(index.apply(add()).await[0].is_ok());
}
