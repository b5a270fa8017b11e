//! The health endpoint of a live run: a real server on a loopback port. It misbehaves below HTTP where the script
//! demands that.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use crate::scenario::Answer;
use crate::sim::start_thread;
use crate::stage::{Ends, NEVER, serve};

/// The scripted answer to a request and the time it takes, and when the request was made; in milliseconds of the
/// scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScriptedAnswer {
    pub answer: Answer,
    pub takes: u64,
    pub began: u64,
}

impl ScriptedAnswer {
    /// Returns whether the answer ends in the instant of the request.
    pub fn is_at_once(&self) -> bool {
        let ends = match self.answer {
            Answer::Status(_)
            | Answer::Refused
            | Answer::Endless
            | Answer::Cut
            | Answer::Reset
            | Answer::Garbage => true,
            Answer::Silent | Answer::HalfLine | Answer::Stalls | Answer::Drip => false,
        };
        ends && self.takes == 0
    }
}

/// Notification that the endpoint is ready for a request.
type ReadySender = oneshot::Sender<()>;

/// A health endpoint on a thread of its own.
pub(super) struct Server {
    address: SocketAddr,
    next: mpsc::UnboundedSender<(ScriptedAnswer, ReadySender)>,
}

impl Server {
    pub fn start(clock: Arc<Clock>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // This socket is bound and never listens: it reserves the port while the endpoint refuses connections.
        let reserved = socket()?;
        reserved.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = reserved.local_addr()?;
        let (next, requests) = mpsc::unbounded_channel();
        let serve = move || {
            runtime.block_on(accept(address, clock, requests));
            drop(reserved);
        };
        start_thread("health", serve)?;
        Ok(Server { address, next })
    }

    /// Returns the address of the endpoint.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the answer to the next request, and waits until the endpoint is ready for it.
    pub async fn set_answer(&self, next: ScriptedAnswer) {
        let (ready, is_ready) = oneshot::channel();
        if self.next.send((next, ready)).is_ok() {
            let _ = is_ready.await;
        }
    }
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

async fn accept(
    address: SocketAddr,
    clock: Arc<Clock>,
    mut requests: mpsc::UnboundedReceiver<(ScriptedAnswer, ReadySender)>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Some((next, ready)) = requests.recv().await {
        if next.answer == Answer::Refused && next.takes != NEVER {
            // Without a listener the system refuses the connection, and does so at once: TCP has no refusal that
            // takes time.
            let _ = ready.send(());
            continue;
        }
        // The listener is for this one request: a request that is refused must find none.
        let Ok(listener) = listen(address) else {
            continue;
        };
        let _ = ready.send(());
        let clock = Arc::clone(&clock);
        connections.spawn(async move {
            let accepted = listener.accept().await;
            drop(listener);
            if let Ok((stream, _)) = accepted {
                let _ = answer_connection(stream, &next, &clock).await;
            }
        });
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket()?;
    socket.bind(address)?;
    socket.listen(16)
}

/// Answers one connection as scripted, with the code that answers in the simulator.
async fn answer_connection(
    mut stream: TcpStream,
    next: &ScriptedAnswer,
    clock: &Clock,
) -> io::Result<()> {
    let until = |after: u64, _| {
        let at = Duration::from_millis(next.began.saturating_add(after));
        let wakes = clock.at(clock.time_map.wakes_at(at));
        async move {
            match wakes {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        }
    };
    if serve(&mut stream, next.answer, next.takes, until).await? == Ends::Reset {
        // With a linger time of zero, the system resets the connection when it is closed.
        stream.set_zero_linger()?;
    }
    Ok(())
}
