//! An own filter: refuses messages that carry a word nobody here wants to read, and marks the others as looked at.
//!
//! A filter is shown every message before it is delivered: who brings it, its envelope, its octets. It may accept it and add
//! header fields, refuse it for good, or refuse it for now. What it says nothing about (it fails, panics, takes too long) comes
//! again later or passes, as [`OnFailure`] says; no mail is lost by it.
//!
//! ```sh
//! cargo run -p postrider --example own_filter -- ./postrider-data
//! ```

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use postrider::config::Config;
use postrider::engine::{Engine, Parts, Running};
use postrider::filter::{Filter, FilterError, Message, OnFailure, Verdict};

/// Refuses messages that hold a word.
pub struct Unwanted(pub &'static str);

#[async_trait::async_trait]
impl Filter for Unwanted {
    fn name(&self) -> &'static str {
        "unwanted"
    }

    async fn check(&self, message: &Message<'_>) -> Result<Verdict, FilterError> {
        // Chunk by chunk, so that a large message takes no memory; the word may lie across the seam of two.
        let mut chunks = std::pin::pin!(message.spooled.chunks());
        let mut window = Vec::new();
        while let Some(chunk) = chunks.try_next().await.map_err(unreadable)? {
            window.extend_from_slice(&chunk);
            if window
                .windows(self.0.len())
                .any(|it| it == self.0.as_bytes())
            {
                return Ok(Verdict::Reject);
            }
            window.drain(..window.len().saturating_sub(self.0.len()));
        }
        let header = format!("X-Looked-At: {} octets\r\n", message.spooled.octets());
        Ok(Verdict::Accept {
            header: header.into_bytes(),
        })
    }
}

fn unreadable(error: impl std::fmt::Display) -> FilterError {
    FilterError(error.to_string())
}

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let config = Config::embedded(&folder.unwrap_or_else(|| "postrider-data".into()));
    let server = start(config, Unwanted("viagra")).await?;
    println!("listening: {:?}", server.ports());
    tokio::signal::ctrl_c().await?;
    server.drain(Duration::from_secs(30)).await;
    Ok(())
}

/// A server that shows every message to this filter.
pub async fn start(config: Config, filter: Unwanted) -> Result<Running, Box<dyn Error>> {
    let parts = Parts {
        filters: vec![(Arc::new(filter), OnFailure::Defer)],
        ..Parts::default()
    };
    Ok(Engine::start(config, parts).await?)
}
