//! The connection of a probe, over TCP or in the simulator.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that [`Host::connect`](super::Host::connect) makes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
