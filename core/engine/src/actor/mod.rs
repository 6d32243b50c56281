//! Bounded, supervised actors, and what they share: arbiters, a service runtime, a memory budget, an end in order.
//!
//! An actor is an ordinary actix actor (`Actor<Context = Context<Self>>`, `Handler<M>`). What is ours is how it
//! is reached and how it lives:
//!
//! ```
//! use std::time::Duration;
//! use actix::{Actor, Context, Handler, Message};
//! use postrider::actor::{Restart, supervise};
//!
//! #[derive(Message)]
//! #[rtype(result = "usize")]
//! struct Count(&'static str);
//!
//! #[derive(Default)]
//! struct Counter(usize);
//!
//! impl Actor for Counter {
//!     type Context = Context<Self>;
//! }
//!
//! impl Handler<Count> for Counter {
//!     type Result = usize;
//!     fn handle(&mut self, Count(text): Count, _: &mut Context<Self>) -> usize {
//!         self.0 += text.len();
//!         self.0
//!     }
//! }
//!
//! # actix::System::new().block_on(async {
//! let restart = Restart { limit: 5, window: Duration::from_secs(60), pause: Duration::from_secs(1) };
//! let counter = supervise("counter", 64, restart, Counter::default);
//! assert_eq!(counter.ask(Count("four")).await, Ok(4));
//! assert_eq!(counter.ask(Count("seven")).await, Ok(9));
//! # });
//! ```
//!
//! **Invariants.**
//! 1. *Bounded.* All clones of a [`Handle`] share one number of places. A place is taken before an ask enters the
//!    queue and given back when the work for it has ended, also if nobody waits for the answer any more.
//! 2. *Supervised.* A panic ends one value of the actor and nothing else; a factory builds the next one behind the
//!    same handle. Used-up restarts are told to an [`Escalation`], never swallowed.
//! 3. *One panic at a time.* The unwinding of a panic ends before anything of the actor is dropped; after a panic
//!    `stopping` and `stopped` do not run (see `life.rs`). So those two may not abort the process, whatever they do.
//! 4. *Any thread.* A handle works on every runtime, with or without actix around it.
//! 5. *Orderly end.* [`Handle::stop`] admits nothing more, finishes what was admitted, and then stops the actor.
//!
//! **Bounds.** Places per actor, open actors per [`Registry`], bytes per [`Budget`], blocking jobs per
//! [`ServiceRuntime`].
//!
//! **On failure.** [`AskError`] tells an asker whether anything can have happened.

mod arbiters;
mod budget;
mod drain;
mod escalation;
mod handle;
mod inbox;
mod life;
mod queue;
mod recipient;
mod registry;
mod restart;
mod role;
mod service;
mod status;
mod supervisor;
mod watched;

pub use arbiters::Arbiters;
pub use budget::{Budget, BudgetError, ByteCount, Share, Taker};
pub use drain::{Drain, DrainReport, Stage, StageReport, Stages, Work};
pub use escalation::{Escalation, Failure, Failures};
pub use handle::{AskError, Handle, WeakHandle};
pub use recipient::{Recipient, WeakRecipient};
pub use registry::{Limits, Registry, RegistryError};
pub use restart::Restart;
pub use role::Role;
pub use service::{Gone, ServiceRuntime, Task};
pub use status::State;
pub use supervisor::{Supervisor, supervise};
