//! Where connections come from: a socket in production, memory where none can be opened.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A connection.
pub type Connection = Box<dyn Stream>;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where connections come from.
#[derive(Clone, Debug)]
pub enum Listening {
    /// A socket.
    Tcp(SocketAddr),
    /// Callers in memory.
    Callers(Callers),
}

impl Listening {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// If the address cannot be had.
    pub async fn listen(&self) -> io::Result<Listener> {
        match self {
            Listening::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
                };
                // A server that starts again gets its address back.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Listener::Tcp(socket.listen(BACKLOG)?))
            }
            Listening::Callers(callers) => Ok(Listener::Callers(Calling {
                next: Instant::now() + callers.every,
                callers: callers.clone(),
            })),
        }
    }
}

/// Takes connections.
pub enum Listener {
    /// From a socket.
    Tcp(TcpListener),
    /// From callers in memory.
    Callers(Calling),
    /// Whatever is sent; none any more once nobody can send.
    Given(mpsc::Receiver<Connection>),
}

impl Listener {
    /// Where it can be reached; nowhere, for one in memory.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Callers(_) | Listener::Given(_) => None,
        }
    }

    /// The next connection. It can be dropped and called again.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(tcp(stream))
            }
            Listener::Callers(calling) => Ok(calling.accept().await),
            Listener::Given(connections) => match connections.recv().await {
                Some(connection) => Ok(connection),
                None => std::future::pending().await,
            },
        }
    }

    /// Closes; whoever is at the door already is let in.
    ///
    /// The operating system has accepted the connections that wait, and would reset them: their requests
    /// may have been written. What comes between the last look and the close is reset all the same, and
    /// that cannot be helped here: it is what a pre-stop delay is for.
    pub fn close(self) -> Vec<Connection> {
        match self {
            Listener::Tcp(listener) => last_of(listener).unwrap_or_else(|error| {
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

/// Accepts without the runtime, which may not know yet that somebody waits.
fn last_of(listener: TcpListener) -> io::Result<Vec<Connection>> {
    let listener = listener.into_std()?;
    let mut last = Vec::new();
    while last.len() < BACKLOG as usize {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                last.push(tcp(TcpStream::from_std(stream)?));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // That one has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) if last.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(last)
}

fn tcp(stream: TcpStream) -> Connection {
    // Answers are small, and are not to wait for more.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}

/// Callers in memory: one after another, each with one prediction to ask for.
#[derive(Clone, Debug)]
pub struct Callers {
    /// The pause between two of them.
    pub every: Duration,
    /// How long each one's prediction takes.
    pub takes: Duration,
    /// How they fared.
    pub fared: Arc<Fared>,
}

/// How the callers fared.
#[derive(Debug, Default)]
pub struct Fared {
    /// How many called.
    pub called: watch::Sender<u64>,
    /// How many have their whole answer, and it is a prediction.
    pub answered: watch::Sender<u64>,
}

/// Callers on their way.
#[derive(Debug)]
pub struct Calling {
    next: Instant,
    callers: Callers,
}

impl Calling {
    async fn accept(&mut self) -> Connection {
        tokio::time::sleep_until(self.next).await;
        self.next += self.callers.every;
        let (mut caller, server) = tokio::io::duplex(4096);
        let fared = Arc::clone(&self.callers.fared);
        fared.called.send_modify(|called| *called += 1);
        let n = *fared.called.borrow();
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
                fared.answered.send_modify(|answered| *answered += 1);
            }
        });
        Box::new(server)
    }
}
