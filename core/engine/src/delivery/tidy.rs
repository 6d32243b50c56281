//! A message made ready for final delivery, before anything looks at it.
//!
//! - `Return-Path` of another system goes: ours says where the message came from (RFC 5321 section 4.4).
//! - `Bcc` and `Resent-Bcc` go from what our own users submit. RFC 5322 section 3.6.3 leaves it to the user's program to take them out, and
//!   names what happens if it does not: everybody reads who got a blind copy. Other agents' messages are left as they are.
//! - A binary message becomes one that every protocol can hand out ([`binary`]).
//!
//! **Bounds.** Fields are looked for in the first [`HEADER`] octets. Who has something to tidy costs one more spool; nobody else does.

use std::pin::pin;

use bytes::Bytes;
use futures_util::StreamExt;
use postrider_protocol::message::binary::{self, Plan, Unfit};
use postrider_protocol::message::header;
use postrider_protocol::smtp::ask::{Body, Delivered};

use super::HEADER;
use crate::blob::{Spool, SpoolError, Spooled};

/// What a final delivery takes out of every message.
const ALWAYS: &[&str] = &["Return-Path"];
/// What it takes out of a message that one of our users submits.
const SUBMITTED: &[&str] = &["Return-Path", "Bcc", "Resent-Bcc"];

/// Who brought a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// Another system.
    Outside,
    /// A user of ours.
    Submitted,
}

/// Why a message cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TidyError {
    /// For good.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// For now.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl From<&TidyError> for Delivered {
    fn from(error: &TidyError) -> Self {
        match error {
            TidyError::Unfit(_) => Delivered::Unfit,
            TidyError::Spool(_) => Delivered::Unavailable,
        }
    }
}

/// Makes a message ready. `fresh` gives the spool for one that changes; `scan` looks at the whole of a binary one.
pub(crate) async fn tidy(
    spooled: Spooled,
    body: Body,
    origin: Origin,
    fresh: impl FnOnce() -> Spool,
    scan: impl AsyncFnOnce(&Spooled) -> Result<Result<Option<Plan>, Unfit>, SpoolError>,
) -> Result<Spooled, TidyError> {
    let names = match origin {
        Origin::Outside => ALWAYS,
        Origin::Submitted => SUBMITTED,
    };
    let head: Bytes = spooled.head(HEADER).await?;
    let fields = header::spans(&head, names);
    let mut plan = match body {
        Body::SevenBit | Body::EightBitMime => None,
        Body::BinaryMime => scan(&spooled).await??,
    };
    if !fields.is_empty() {
        let length = usize::try_from(spooled.octets()).map_err(|_| SpoolError::TooLarge)?;
        let whole = plan.unwrap_or_else(|| Plan::copy(length));
        plan = Some(whole.without(&fields));
    }
    let Some(plan) = plan else {
        return Ok(spooled);
    };
    let mut tidied = fresh();
    let mut recoder: binary::Recoder = plan.recoder();
    let mut chunks = pin!(spooled.chunks());
    let mut out = Vec::new();
    while let Some(chunk) = chunks.next().await {
        out.clear();
        recoder.feed(&chunk?, &mut out);
        tidied.append(&out).await;
    }
    out.clear();
    recoder.finish(&mut out);
    tidied.append(&out).await;
    Ok(tidied.finish().await?)
}
