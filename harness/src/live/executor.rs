//! Wraps the tasks of a live run: records when they begin and end, and blocks the executor while one of them holds
//! it. The host uses this for the context's tasks, the cast for adopted ones.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use super::play::Play;
use super::turns::{InTurns, Turns, Unbegun};
use crate::journal::{How, Name};
use crate::words::{one_line, panic_message};
use deadstop::host::{BoxError, BoxFuture};

/// A task whose first turn is recorded as its begin.
pub(super) struct RecordedTask {
    play: Arc<Play>,
    part: Option<usize>,
    nth: Arc<AtomicU32>,
    turns: Arc<Turns>,
    unbegun: Option<Unbegun>,
    future: BoxFuture<Result<(), BoxError>>,
}

impl RecordedTask {
    pub fn new(
        play: Arc<Play>,
        part: Option<usize>,
        nth: Arc<AtomicU32>,
        turns: Arc<Turns>,
        future: BoxFuture<Result<(), BoxError>>,
    ) -> Self {
        RecordedTask {
            unbegun: Some(Unbegun::new(&play, true)),
            play,
            part,
            nth,
            turns,
            future,
        }
    }

    /// Begins a turn and returns true, or returns false if the turn had to wait. The task then yields, so that
    /// another section of its code follows an await; if the task was aborted meanwhile, it is dropped there.
    fn try_begin_turn(&self, cx: &Context<'_>) -> bool {
        let waited = self.turns.begin();
        if waited {
            self.turns.end();
            cx.waker().wake_by_ref();
        }
        !waited
    }
}

impl Future for RecordedTask {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.try_begin_turn(cx) {
            return Poll::Pending;
        }
        self.unbegun = None;
        if let Some(part) = self.part
            && self.nth.load(Ordering::SeqCst) == 0
        {
            self.nth
                .store(self.play.record_begin(part), Ordering::SeqCst);
            // Events that wait for main's begin strike before the code does anything else. A hold of the executor
            // that begins in this moment keeps the code waiting.
            self.turns.end();
            if !self.try_begin_turn(cx) {
                return Poll::Pending;
            }
        }
        let polled = self.future.as_mut().poll(cx);
        if polled.is_pending() {
            self.turns.end();
        }
        // The last turn stays open until the end is recorded.
        polled
    }
}

/// Recorder of the end of a task that the context did not start. It records a drop as well.
pub(super) struct EndRecorder {
    play: Arc<Play>,
    part: usize,
    nth: Arc<AtomicU32>,
    turns: Arc<Turns>,
    is_recorded: bool,
}

impl EndRecorder {
    pub fn new(play: Arc<Play>, part: usize, nth: Arc<AtomicU32>, turns: Arc<Turns>) -> Self {
        EndRecorder {
            play,
            part,
            nth,
            turns,
            is_recorded: false,
        }
    }

    /// Awaits the task and records its end. Passes its error or panic on to the code that joins the task.
    pub async fn await_task(mut self, task: RecordedTask) -> Result<(), BoxError> {
        let mut task = task;
        let ended = std::future::poll_fn(|cx| {
            std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(&mut task).poll(cx)))
                .map_or_else(|payload| Poll::Ready(Err(payload)), |polled| polled.map(Ok))
        })
        .await;
        drop(task);
        match ended {
            Ok(Ok(())) => {
                self.record(How::Ok, None);
                Ok(())
            }
            Ok(Err(error)) => {
                self.record(How::Failed, Some(one_line(&error)));
                Err(error)
            }
            Err(payload) => {
                self.record(How::Panicked, Some(one_line(&panic_message(&*payload))));
                std::panic::resume_unwind(payload);
            }
        }
    }

    fn record(&mut self, how: How, error: Option<Name>) {
        if !std::mem::replace(&mut self.is_recorded, true) {
            let nth = self.nth.load(Ordering::SeqCst);
            self.turns.begin();
            self.play.record_end(self.part, nth, how, error);
            self.turns.end();
        }
    }
}

impl Drop for EndRecorder {
    fn drop(&mut self) {
        self.record(How::Dropped, None);
    }
}

/// Returns what asks the executor to run code of a component, and notes that it ran.
pub(super) fn ask_executor(play: Weak<Play>, executor: Handle) -> impl Fn(usize) + Send {
    move |index| {
        let Some(play) = play.upgrade() else { return };
        let theirs = Arc::clone(&play);
        let ask = Box::pin(async move {
            theirs.with_scene(|scene| {
                let part = &scene.parts.all[index];
                part.executor_ran.set(true);
                scene.stage().interrupt(part);
            });
        });
        drop(executor.spawn(InTurns::on_the_executor(&play, ask)));
    }
}
