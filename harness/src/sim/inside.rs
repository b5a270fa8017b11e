//! Refuses a run inside another one, in which simulated code would run a world within its own.
//!
//! A body's thread has no world of its own, only the one that is lent to it. A run there would give it one, and two
//! executors would wait at one bell.

use super::world;

/// Refuses to start a run in simulated code.
///
/// # Panics
///
/// If the caller is simulated code.
pub(super) fn refuse() {
    assert!(
        world::try_with(|_| ()).is_none(),
        "a run inside another run: the code of a simulated worker cannot start a simulation on its own thread"
    );
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::{Mutex, mpsc};
    use std::thread;
    use std::time::Duration;

    use crate::journal::What;
    use crate::scenario::Scenario;
    use crate::sim::laid::lay;
    use crate::sim::{Bodies, Journal, Options, Own, run, run_own};
    use crate::words::panic_message;
    use deadstop::context::{BodyOpts, WorkerCtx};

    const REFUSED: &str = "a run inside another run";

    fn scenario(components: &str) -> Scenario {
        let text = format!(
            "title = \"Outer\"\n[worker]\ncomponents = [{components}]\n\
             [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGTERM\" }}]\n"
        );
        crate::scenario::parse("outer", &text)
            .unwrap_or_else(|invalid| panic!("{:?}", invalid.diagnostics))
    }

    fn on(bodies: Bodies) -> Options {
        Options {
            bodies,
            ..Options::default()
        }
    }

    fn exits(journal: &Journal) -> bool {
        let last = journal.events.last().map(|event| &event.what);
        matches!(last, Some(What::Exit { code: 0, .. }))
    }

    /// Returns what a run here gives: whether it exits with 0, or the panic.
    fn runs(bodies: Bodies) -> Result<bool, String> {
        let inner = || exits(&run(&scenario("{ thread = \"inner\" }"), &on(bodies)));
        catch_unwind(inner).map_err(|payload| panic_message(&*payload))
    }

    fn runs_own() -> Result<bool, String> {
        let inner = || {
            let own = Own::new(|_: WorkerCtx<()>| async { Ok(()) });
            exits(&run_own(&scenario(""), &Options::default(), &own))
        };
        catch_unwind(inner).map_err(|payload| panic_message(&*payload))
    }

    /// Runs `f` on another thread with a limit of real time, since a mistake would hang for real.
    fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, is_done) = mpsc::channel();
        #[allow(clippy::disallowed_methods, reason = "it would hang for real")]
        thread::spawn(move || done.send(f()));
        is_done
            .recv_timeout(Duration::from_secs(20))
            .expect("the run comes to an end")
    }

    #[test]
    fn simulated_code_cannot_run_a_simulation() {
        static SAID: Mutex<Vec<Result<bool, String>>> = Mutex::new(Vec::new());
        let tries = || {
            for bodies in [Bodies::Coroutines, Bodies::Batons] {
                let said = runs(bodies);
                SAID.lock().expect("not poisoned").push(said);
            }
            let said = runs_own();
            SAID.lock().expect("not poisoned").push(said);
        };
        lay("a body that simulates", tries);
        lay("a task that simulates", tries);
        lay("a callback that simulates", tries);
        let components = "{ thread = \"a body that simulates\" }, { task = \"a task that simulates\" }, \
                          { cleanup = \"a callback that simulates\" }";
        for bodies in [Bodies::Coroutines, Bodies::Batons] {
            assert!(in_time(move || exits(&run(
                &scenario(components),
                &on(bodies)
            ))));
            let said = std::mem::take(&mut *SAID.lock().expect("not poisoned"));
            assert_eq!(said.len(), 9, "{bodies:?}");
            for said in said {
                let error = said.expect_err("it is refused");
                assert!(error.starts_with(REFUSED), "{bodies:?}: {error}");
            }
        }
    }

    #[test]
    fn a_users_own_body_that_simulates_panics_with_the_reason() {
        let own = Own::new(|ctx: WorkerCtx<()>| async move {
            ctx.add_thread("simulates", BodyOpts::default(), |_| {
                drop(run(&scenario(""), &Options::default()))
            })
            .map_err(|refused| refused.to_string())?;
            Ok(())
        });
        for bodies in [Bodies::Coroutines, Bodies::Batons] {
            let own = own.clone();
            let journal = in_time(move || run_own(&scenario(""), &on(bodies), &own));
            let error = journal.events.iter().find_map(|event| match &event.what {
                What::Ended { error, id: 1, .. } => error.clone(),
                _ => None,
            });
            let error = error.unwrap_or_default();
            assert!(error.starts_with(REFUSED), "{bodies:?}: {error}");
        }
    }

    /// A thread that simulated code starts has no world, so the run there is no run inside another.
    #[test]
    fn a_thread_that_simulated_code_starts_can_run_a_simulation() {
        static SAID: Mutex<Vec<Result<bool, String>>> = Mutex::new(Vec::new());
        lay("has another simulate", || {
            #[allow(clippy::disallowed_methods, reason = "as a user's body would")]
            let said = thread::spawn(|| runs(Bodies::Batons)).join();
            let said = said.expect("what panics is caught");
            SAID.lock().expect("not poisoned").push(said);
        });
        for bodies in [Bodies::Coroutines, Bodies::Batons] {
            let outer = scenario("{ thread = \"has another simulate\" }");
            assert!(in_time(move || exits(&run(&outer, &on(bodies)))));
        }
        let said = SAID.lock().expect("not poisoned");
        assert_eq!(*said, [Ok(true), Ok(true)]);
    }

    /// A run inside a runtime is refused, and the next run is not affected.
    #[test]
    fn run_inside_a_runtime_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime without I/O");
        let said = runtime.block_on(async { runs(Bodies::Batons) });
        let error = said.expect_err("it is refused");
        assert!(error.contains("within a runtime"), "{error}");
        assert_eq!(runs(Bodies::Batons), Ok(true));
    }
}
