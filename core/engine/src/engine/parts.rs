//! What all connections of an engine share.

use std::sync::Arc;

use crate::actor::{Budget, ServiceRuntime, Stages, Supervisor};
use crate::auth::Authenticator;
use crate::blob::{BlobPool, Spools};
use crate::config::Config;
use crate::delivery::Delivery;
use crate::directory::Directory;
use crate::index::IndexPool;
use crate::limits::rates::Rates;
use crate::mailbox::Mailboxes;

use super::maildrops::Maildrops;
use super::sessions::Sessions;

/// What all connections share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Services(Arc<Inner>);

pub(crate) struct Inner {
    pub config: Config,
    pub runtime: ServiceRuntime,
    pub supervisor: Supervisor,
    pub stages: Stages,
    pub budget: Budget,
    pub index: IndexPool,
    pub blobs: BlobPool,
    pub spools: Spools,
    pub directory: Directory,
    pub mailboxes: Mailboxes,
    pub delivery: Delivery,
    pub auth: Authenticator,
    pub sessions: Sessions,
    pub maildrops: Maildrops,
    pub rates: Arc<Rates>,
}

impl Services {
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }
}

impl std::ops::Deref for Services {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
