//! The runtime of the context's own futures.

/// Makes a runtime for the context's own futures: one thread, with time, without I/O.
pub(crate) fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
}
