//! A service that stops its threads and tasks as one would write it by hand: all are told at once, and all
//! are waited for. No step has a bound, a name or an outcome, and the service cannot say what it waits for.

use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What runs, and what tells it to stop.
pub struct Service {
    token: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    tasks: TaskTracker,
}

impl Service {
    /// Starts so many threads and tasks, which wait until they are told.
    pub fn start(threads: usize, tasks: usize) -> Self {
        let token = CancellationToken::new();
        let threads = (0..threads).map(|_| {
            let token = token.clone();
            // Parked: with a condition variable all threads would wake to contend for its lock.
            std::thread::spawn(move || {
                while !token.is_cancelled() {
                    std::thread::park();
                }
            })
        });
        let service = Service {
            threads: threads.collect(),
            tasks: TaskTracker::new(),
            token: token.clone(),
        };
        for _ in 0..tasks {
            let token = token.clone();
            service.tasks.spawn(async move { token.cancelled().await });
        }
        service
    }

    /// Tells them, and waits for all of them.
    pub async fn stop(self) {
        self.token.cancel();
        for thread in &self.threads {
            thread.thread().unpark();
        }
        self.tasks.close();
        self.tasks.wait().await;
        for thread in self.threads {
            thread.join().expect("nobody panics");
        }
    }
}
