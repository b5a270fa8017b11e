//! The plan's worker context, as the plan was written: **a specimen, not for use**.
//!
//! Deadstop started from the plan of a worker context for a Python model server. This is that plan in Rust. Its flaws
//! are left in:
//!
//! - Threads are joined one after another.
//! - A task's cancellation is not awaited, and its `cancel_timeout` is never read.
//! - Nothing bounds a callback.
//! - Stop and cleanup run synchronously on the executor.
//! - A second stop calls every callback again.
//! - A component that is registered late is silently lost.
//! - A start that fails leaves open what it has opened.
//!
//! The simulator drives it as its second subject. Each flaw shows as a broken law, which proves that the laws detect
//! flaws, and that the simulator can drive a context that is not its own.

mod ctx;

pub use ctx::{Callback, Line, PlanCtx, Task, Thread};
