//! The source of connections: a socket in production, callers in memory where no socket can be opened.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A connection.
pub type Connection = Box<dyn Stream>;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The source of connections, not yet opened.
#[derive(Clone, Debug)]
pub enum Listening {
    /// A socket.
    Tcp(SocketAddr),
    /// Callers in memory.
    Callers(Callers),
}

impl Listening {
    /// Opens the source of connections.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub async fn listen(&self) -> io::Result<Listener> {
        match self {
            Listening::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
                };
                // A server that is started again can bind the same address at once.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Listener::Tcp(socket.listen(BACKLOG)?))
            }
            Listening::Callers(callers) => Ok(Listener::Callers(OpenCallers {
                next: Instant::now() + callers.interval,
                callers: callers.clone(),
            })),
        }
    }
}

/// The open source of connections.
pub enum Listener {
    /// A socket.
    Tcp(TcpListener),
    /// Callers in memory.
    Callers(OpenCallers),
    /// Connections from a channel. Once its senders are gone, none comes any more.
    Given(mpsc::Receiver<Connection>),
}

impl Listener {
    /// Returns the address of the socket; `None` for a source in memory.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Callers(_) | Listener::Given(_) => None,
        }
    }

    /// Waits for the next connection. A call that is dropped loses no connection.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(tcp(stream))
            }
            Listener::Callers(callers) => Ok(callers.accept().await),
            Listener::Given(connections) => match connections.recv().await {
                Some(connection) => Ok(connection),
                None => std::future::pending().await,
            },
        }
    }

    /// Closes the source, and returns the connections that still wait to be accepted.
    ///
    /// The operating system has accepted these connections, and would reset them although their requests may have
    /// been written. A connection that comes between the last look and the close is reset all the same. That cannot
    /// be helped here; a pre-stop delay is for that.
    pub fn close(self) -> Vec<Connection> {
        match self {
            Listener::Tcp(listener) => drain_backlog(listener).unwrap_or_else(|error| {
                tracing::warn!("whoever waited to be accepted is turned away: {error}");
                Vec::new()
            }),
            Listener::Callers(_) => Vec::new(),
            Listener::Given(mut connections) => {
                connections.close();
                std::iter::from_fn(|| connections.try_recv().ok()).collect()
            }
        }
    }
}

/// Accepts the connections that wait, without the runtime, which may not know of them yet.
fn drain_backlog(listener: TcpListener) -> io::Result<Vec<Connection>> {
    let listener = listener.into_std()?;
    let mut last = Vec::new();
    while last.len() < BACKLOG as usize {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                last.push(tcp(TcpStream::from_std(stream)?));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // The caller of that connection has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) if last.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(last)
}

fn tcp(stream: TcpStream) -> Connection {
    // Answers are small, and must not wait for more to send.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}

/// Callers in memory, one after another. Each asks for one prediction.
#[derive(Clone, Debug)]
pub struct Callers {
    /// Time from one caller to the next.
    pub interval: Duration,
    /// Time that each prediction takes.
    pub takes: Duration,
    /// Counts of callers and answers.
    pub counts: Arc<CallerCounts>,
}

/// Counts of callers and of their answers.
#[derive(Debug, Default)]
pub struct CallerCounts {
    /// Number of callers.
    pub called: watch::Sender<u64>,
    /// Number of callers that have their whole answer, if it is a prediction.
    pub answered: watch::Sender<u64>,
}

/// The open source of callers, which makes each one at its time.
#[derive(Debug)]
pub struct OpenCallers {
    next: Instant,
    callers: Callers,
}

impl OpenCallers {
    async fn accept(&mut self) -> Connection {
        tokio::time::sleep_until(self.next).await;
        self.next += self.callers.interval;
        let (mut caller, server) = tokio::io::duplex(4096);
        let counts = Arc::clone(&self.callers.counts);
        counts.called.send_modify(|called| *called += 1);
        let n = *counts.called.borrow();
        let takes = self.callers.takes.as_millis();
        let body = format!(r#"{{"request":"caller {n}","features":[1,2],"takes_ms":{takes}}}"#);
        let request = format!(
            "POST /predict HTTP/1.1\r\nhost: memory\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        tokio::spawn(async move {
            let mut answer = String::new();
            if caller.write_all(request.as_bytes()).await.is_ok()
                && caller.read_to_string(&mut answer).await.is_ok()
                && answer.starts_with("HTTP/1.1 200")
            {
                counts.answered.send_modify(|answered| *answered += 1);
            }
        });
        Box::new(server)
    }
}
