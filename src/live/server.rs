//! The health endpoint of a live run: a real server on a loopback port, which misbehaves below HTTP where the
//! script says so.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::scene::Clock;
use crate::scenario::Answer;

/// The longest request that is read.
const REQUEST: usize = 64 * 1024;

/// How the next request is met.
struct Next {
    answer: Answer,
    /// When the answer comes, in the scenario's time.
    at: Duration,
    /// Told when the endpoint is ready for it.
    ready: oneshot::Sender<()>,
}

/// A health endpoint on a thread of its own.
pub(super) struct Server {
    address: SocketAddr,
    next: mpsc::UnboundedSender<Next>,
}

impl Server {
    pub fn start(clock: Arc<Clock>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Bound and never listening: the port stays this endpoint's while it refuses.
        let reserved = socket()?;
        reserved.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = reserved.local_addr()?;
        let (next, requests) = mpsc::unbounded_channel();
        let serve = move || {
            runtime.block_on(serve(address, clock, requests));
            drop(reserved);
        };
        let builder = std::thread::Builder::new().name("health".to_owned());
        builder.spawn(serve)?;
        Ok(Server { address, next })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request is met so.
    pub async fn meets(&self, answer: Answer, at: Duration) {
        let (ready, is_ready) = oneshot::channel();
        if self.next.send(Next { answer, at, ready }).is_ok() {
            let _ = is_ready.await;
        }
    }
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

async fn serve(
    address: SocketAddr,
    clock: Arc<Clock>,
    mut requests: mpsc::UnboundedReceiver<Next>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Some(Next { answer, at, ready }) = requests.recv().await {
        if answer == Answer::Refused {
            let _ = ready.send(());
            continue;
        }
        // A listener for this one request: one that is refused meets none.
        let Ok(listener) = listen(address) else {
            continue;
        };
        let _ = ready.send(());
        let clock = Arc::clone(&clock);
        connections.spawn(async move {
            let accepted = listener.accept().await;
            drop(listener);
            if let Ok((stream, _)) = accepted {
                let _ = meet(stream, answer, at, &clock).await;
            }
        });
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket()?;
    socket.bind(address)?;
    socket.listen(16)
}

/// One connection, as the script has it.
async fn meet(
    mut stream: TcpStream,
    answer: Answer,
    at: Duration,
    clock: &Clock,
) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    if let Some(at) = clock.at(clock.score.wakes(at)) {
        tokio::time::sleep_until(at.into()).await;
    }
    match answer {
        Answer::Status(status) => {
            let head = format!("HTTP/1.1 {status} Scripted\r\n");
            let rest = if status == 204 || status == 304 {
                "connection: close\r\n\r\n"
            } else {
                "content-length: 2\r\nconnection: close\r\n\r\nok"
            };
            stream.write_all((head + rest).as_bytes()).await?;
        }
        Answer::Cut => stream.write_all(b"HTTP/1.1 20").await?,
        Answer::Garbage => {
            stream
                .write_all(b"\x00\xffnothing that is HTTP\r\n\r\n")
                .await?
        }
        Answer::Stalls => {
            stream.write_all(b"HTTP/1.1 200 Scripted\r\n").await?;
            return gone(stream).await;
        }
        Answer::Silent | Answer::Refused => return gone(stream).await,
    }
    stream.shutdown().await
}

/// Until the other side gives up.
async fn gone(mut stream: TcpStream) -> io::Result<()> {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? != 0 {}
    Ok(())
}
