//! The seam between the worker context and its surroundings: how a body blocks, how code is started, what time it is,
//! how the process ends.
//!
//! The worker context waits for futures only. Everything that depends on where it runs goes through one [`Host`]. On
//! the live host, a body is a thread of the operating system and time is the system's. In the simulator, a body is a
//! coroutine, or a thread that runs only when it is its turn, and time is virtual. The context cannot tell which.

mod adopt;
mod code;
#[cfg(feature = "http")]
mod connect;
mod ending;
mod error;
mod executor;
#[doc(hidden)]
pub mod exit_code;
mod harness_host;
mod harness_part;
mod live;
mod park;
mod passing;
mod reapers;
mod reserve;
mod scope;
mod seam;
mod small_runtime;
#[cfg(feature = "http")]
mod stream;
mod thread;
mod timeout;

pub use adopt::Adopt;
pub(crate) use adopt::join;
pub use code::{Body, BoxError, BoxFuture, ContextId, Ended, OnEnd, Who};
pub use ending::Ending;
pub use error::SpawnError;
pub use executor::{Abort, Around, Executor};
#[doc(hidden)]
pub use harness_host::HarnessHost;
pub(crate) use harness_part::harness_part;
pub use live::Live;
pub use park::block_on;
pub(crate) use park::poll_while;
pub(crate) use passing::PassingRuntime;
pub use scope::{Blocker, Scope, Waited};
pub use seam::Host;
pub(crate) use small_runtime::small_runtime;
#[cfg(feature = "http")]
pub use stream::Stream;
pub use timeout::timeout_at;
