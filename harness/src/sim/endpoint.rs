//! The health endpoint: scripted answers, byte for byte, over a pipe. The [host](super::host) connects a watchdog's
//! probe to it. A probe takes virtual time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::clock::Sleep;
use super::overlay;
use super::world::{self, World};
use crate::journal::{Id, Kind, Name, What};
use crate::scenario::Answer;
use crate::stage::{Ends, NEVER, serve};
use deadstop::host::{BoxFuture, Stream};
use deadstop::watchdog::HttpProbe;

/// Capacity of the pipe in each direction, in bytes.
const PIPE_BYTES: usize = 16 * 1024;

/// Returns the probe of a scripted watchdog, which is the one that a service has.
pub(crate) fn probe() -> HttpProbe {
    HttpProbe::new("http://127.0.0.1:8000/health").expect("that is a URL")
}

/// Connects to the world's endpoint, whatever name was asked for.
pub(crate) async fn connect() -> io::Result<Box<dyn Stream>> {
    if let Some(id) = asking_watchdog() {
        overlay::meet_watchdog_faults(id);
    }
    let (n, answer, takes, began) = world::with(|world| {
        let now = world.now();
        let (n, answer, takes) = world.endpoint.borrow_mut().asked(now);
        world.record(What::ProbeBegan { n });
        (n, answer, takes, now)
    });
    let until = move |after: u64, idle: bool| {
        let at = began.saturating_add(after);
        match idle {
            true => Sleep::idle_until(at),
            false => Sleep::until(at),
        }
    };
    let open = OpenProbe {
        n,
        began,
        answers: answer_word(answer, takes).map(|word| (word, began.saturating_add(takes))),
    };
    if answer == Answer::Refused {
        until(takes, false).await;
        open.answered();
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    let peer = Box::pin(async move {
        let ends = serve(&mut theirs, answer, takes, until).await;
        if ends.is_ok() {
            open.answered();
        }
        // On an error the watchdog has dropped its end, and with it the connection.
        ends.unwrap_or(Ends::Closed)
    });
    Ok(Box::new(Connection {
        ours,
        peer: Some(peer),
        reset: false,
    }))
}

/// Returns the id of the watchdog that asks, if a scripted watchdog does.
fn asking_watchdog() -> Option<Id> {
    world::with(|world| {
        let role = world.entities.borrow().current_role()?;
        let part = world.part_of(role)?;
        // An own worker's watchdog gets its faults from the host, wherever it waits.
        let asks = part.kind() == Kind::Watchdog && !world.is_foreign();
        part.id.get().filter(|_| asks)
    })
}

/// Connection together with its other end. The other end has its turns when this one reads or writes, so that a probe
/// is one turn of its watchdog wherever no time passes.
struct Connection {
    ours: DuplexStream,
    peer: Option<BoxFuture<Ends>>,
    reset: bool,
}

impl Connection {
    fn poll_peer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Some(peer) = &mut self.peer
            && let Poll::Ready(ends) = peer.as_mut().poll(cx)
        {
            self.peer = None;
            self.reset = ends == Ends::Reset;
        }
        match self.reset {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_peer(cx)?;
        Pin::new(&mut self.ours).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_peer(cx)?;
        Pin::new(&mut self.ours).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.ours).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.ours).poll_shutdown(cx)
    }
}

/// Returns the word for an answer that comes to an end.
fn answer_word(answer: Answer, takes: u64) -> Option<Name> {
    match answer {
        _ if takes == NEVER => None,
        Answer::Status(status) => Some(Name::from(status.to_string())),
        Answer::Drip if takes > 0 => Some("200".into()),
        Answer::Refused | Answer::Cut | Answer::Garbage | Answer::Reset => {
            Some(Name::from(answer.to_string()))
        }
        Answer::Silent | Answer::HalfLine | Answer::Stalls | Answer::Endless | Answer::Drip => None,
    }
}

/// Probe in flight. Dropped without an answer, it was given up; an answer that comes later is recorded as ignored.
struct OpenProbe {
    n: u32,
    began: u64,
    answers: Option<(Name, u64)>,
}

impl OpenProbe {
    fn answered(mut self) {
        if let Some((result, at)) = self.answers.take() {
            world::with(|world| {
                let took = at - self.began;
                world.record(What::Probe {
                    n: self.n,
                    result,
                    took,
                    ignored: false,
                });
            });
        }
        std::mem::forget(self);
    }
}

impl Drop for OpenProbe {
    fn drop(&mut self) {
        let (n, began, answers) = (self.n, self.began, self.answers.take());
        world::try_with(|world| {
            let now = world.now();
            world.record(What::Probe {
                n,
                result: "given-up".into(),
                took: now - began,
                ignored: false,
            });
            if let Some((result, at)) = answers {
                world.after(at.saturating_sub(now), move |world: &World| {
                    world.record(What::Probe {
                        n,
                        result,
                        took: at - began,
                        ignored: true,
                    });
                });
            }
        });
    }
}
