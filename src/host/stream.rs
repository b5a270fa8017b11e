//! The connection of a probe, over TCP or in the simulator.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that [`Host::connect`](super::Host::connect) makes.
///
/// Every type with these bounds implements it, and no type implements it by hand.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
