//! Why code could not be started.

/// The reason why code could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// Tasks need a runtime, and there is none.
    #[error(
        "there is no tokio runtime here, and the context knows none: build or start the context on the service's \
         runtime"
    )]
    NoRuntime,
    /// The only runtime would take the task with it when the current call returns.
    #[error(
        "the runtime here ends with the call that drives it, and the context knows no other runtime: build or start \
         the context on the service's runtime"
    )]
    PassingRuntime,
    /// The runtime on which a task would run has been shut down.
    #[error("the tokio runtime that it would run on has been shut down")]
    RuntimeGone,
    /// The operating system refused a thread.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The code of a step had to wait for a thread, and has not begun.
    #[error("no thread could be started ({0}), and the threads in reserve were busy")]
    NeverBegun(#[source] std::io::Error),
    /// The host cannot run such code.
    #[error("this host cannot run {0}")]
    Unsupported(&'static str),
}
