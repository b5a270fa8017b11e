//! A service with a stop that is written by hand: it tells all threads and tasks at once, and waits for all of them.
//! No step has a bound, a name or an outcome, and the service cannot report what it waits for.

use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Threads and tasks, and the token that tells them to stop.
pub struct Service {
    token: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    tasks: TaskTracker,
}

impl Service {
    /// Starts that number of threads and tasks, which wait until they are told to stop.
    pub fn start(threads: usize, tasks: usize) -> Self {
        let token = CancellationToken::new();
        let threads = (0..threads).map(|_| {
            let token = token.clone();
            // The threads are parked: with a condition variable all of them would wake to contend for its lock.
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

    /// Tells all threads and tasks to stop, and waits for them.
    pub async fn stop(self) {
        self.token.cancel();
        for thread in &self.threads {
            thread.thread().unpark();
        }
        self.tasks.close();
        self.tasks.wait().await;
        for thread in self.threads {
            thread.join().expect("no panic");
        }
    }
}
