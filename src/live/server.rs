//! The health endpoint of a live run: a real server on a loopback port, which misbehaves below HTTP where the
//! script says so.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::scene::Clock;
use crate::scenario::Answer;
use crate::stage::{Ends, NEVER, serve};

/// How a request is met, and when it was made, in milliseconds of the scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meets {
    pub answer: Answer,
    pub takes: u64,
    pub began: u64,
}

impl Meets {
    /// Whether it comes to its end in the instant in which the request is made.
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

/// Told when the endpoint is ready for it.
type Ready = oneshot::Sender<()>;

/// A health endpoint on a thread of its own.
pub(super) struct Server {
    address: SocketAddr,
    next: mpsc::UnboundedSender<(Meets, Ready)>,
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
            runtime.block_on(accept(address, clock, requests));
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
    pub async fn meets(&self, next: Meets) {
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
    mut requests: mpsc::UnboundedReceiver<(Meets, Ready)>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Some((next, ready)) = requests.recv().await {
        if next.answer == Answer::Refused && next.takes != NEVER {
            // It would be refused after some time, if there were a way.
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
                let _ = meet(stream, &next, &clock).await;
            }
        });
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket()?;
    socket.bind(address)?;
    socket.listen(16)
}

/// One connection, as the script has it: by the code that answers in the simulator.
async fn meet(mut stream: TcpStream, next: &Meets, clock: &Clock) -> io::Result<()> {
    let until = |after: u64, _| {
        let at = Duration::from_millis(next.began.saturating_add(after));
        let wakes = clock.at(clock.score.wakes(at));
        async move {
            match wakes {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        }
    };
    if serve(&mut stream, next.answer, next.takes, until).await? == Ends::Reset {
        // Without a lingering end the system tears the connection down.
        stream.set_zero_linger()?;
    }
    Ok(())
}
