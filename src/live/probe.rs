//! Probes of a live run: the production probe against the real endpoint, and what is written down of it.

use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::play::Play;
use crate::journal::{Name, What};
use crate::stage::{Stage, Strike};
use crate::watchdog::{Probe, ProbeError};
use crate::words::one_line;

/// Asks the live endpoint, on behalf of one watchdog.
pub(super) struct LiveProbe {
    play: Arc<Play>,
    part: usize,
}

impl LiveProbe {
    pub fn new(play: Arc<Play>, part: usize) -> Self {
        LiveProbe { play, part }
    }
}

impl Probe for LiveProbe {
    fn probe(&mut self) -> Pin<Box<dyn Future<Output = Result<u16, ProbeError>> + Send + '_>> {
        Box::pin(async move {
            meet_faults(&self.play, self.part);
            let (n, answer, at, began) = self.play.look(|scene| {
                let now = scene.now();
                let (n, answer, takes) = scene.endpoint().borrow_mut().asked(now);
                scene.record(What::ProbeBegan { n });
                (n, answer, now.saturating_add(takes), now)
            });
            let open = Open {
                play: &self.play,
                n,
                began,
            };
            let at = std::time::Duration::from_millis(at);
            self.play.server.meets(answer, at).await;
            let answered = ask(&self.play).await;
            open.says(match &answered {
                Ok(status) => status.to_string().into(),
                Err(error) => one_line(error),
            });
            answered
        })
    }
}

async fn ask(play: &Play) -> Result<u16, ProbeError> {
    let failed = |error: std::io::Error| ProbeError(error.to_string());
    let mut stream = TcpStream::connect(play.server.address())
        .await
        .map_err(failed)?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    let text = String::from_utf8_lossy(&answer);
    text.strip_prefix("HTTP/1.1 ")
        .filter(|_| text.contains("\r\n\r\n"))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| ProbeError("no HTTP".to_owned()))
}

/// A probe in flight. Dropped without an answer it was given up.
struct Open<'a> {
    play: &'a Play,
    n: u32,
    began: u64,
}

impl Open<'_> {
    fn record(&self, result: Name) {
        self.play.look(|scene| {
            scene.record(What::Probe {
                n: self.n,
                result,
                took: scene.now() - self.began,
                ignored: false,
            });
        });
    }

    fn says(self, result: Name) {
        self.record(result);
        std::mem::forget(self);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.record("given-up".into());
    }
}

/// A watchdog's body is the production one; faults strike it where it waits, and where it asks.
pub(super) fn meet_faults(play: &Play, part: usize) {
    loop {
        let (strike, hung) = play.part(part, |stage, part| (part.strike(), part.hung(stage.now())));
        match strike {
            Some(Strike::Panic { message } | Strike::Fail { message, .. }) => {
                std::panic::resume_unwind(Box::new(
                    message.unwrap_or_else(|| "scripted panic".to_owned()),
                ))
            }
            Some(Strike::End) | None => {}
        }
        let Some(until) = hung else { return };
        // Hung for real: this thread waits for nothing but the end of it.
        let wakes = play
            .clock
            .score
            .wakes(std::time::Duration::from_millis(until));
        let until = (until != crate::stage::NEVER).then_some(wakes);
        play.watch(until, |scene| {
            let part = &scene.parts.all[part];
            part.strike().is_some() || part.hung(scene.now()).is_none()
        });
    }
}
