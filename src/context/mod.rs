//! The worker context: keeps the components of a worker, stops them and cleans them up in order, and reports how each
//! step ended.
//!
//! This is production code. It does not know whether it is simulated: everything that differs is behind the
//! [`Host`](crate::host::Host). Services use it through [`WorkerCtx`]; a process and the simulator lead it through
//! [`Life`]. Its rules are those of `docs/contract.md`.

mod admission;
mod budget;
mod builder;
mod close;
mod core;
mod counting;
mod ctx;
mod error;
mod group;
mod handle;
mod life;
mod life_exit;
mod limits;
mod opts;
mod phases;
mod registration;
mod registry;
mod report;
mod start;
mod steps_in_progress;
mod uses;
mod warn;

pub use crate::host::{Ended, Ending, exit_code};
pub use budget::{Budget, BudgetLine};
pub use builder::Builder;
pub use close::Close;
pub use ctx::{WeakCtx, WorkerCtx};
pub use error::{BlockingError, CalledFromInside, LimitsError, MainError, Refused, StartError};
pub use handle::ComponentHandle;
pub use life::{Life, LifeEnd};
pub use limits::{Limits, ResolvedLimits};
pub use opts::{BodyOpts, CallOpts};
pub use report::{Death, Reason, Report, StepReport, WakePanic};
#[doc(hidden)]
pub use start::Main;
pub use uses::Uses;
