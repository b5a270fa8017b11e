//! Runs the server's own registration in the simulator: each file of `scenarios` is a test.
//!
//! The callers and the database are in memory. From the first second on there is a caller a second, whose prediction
//! takes 300 ms. The watchdog is on, and probes the scripted endpoint.

use model_server::{App, register};

fn app() -> App {
    let mut app = App::default();
    app.settings.watchdog.enabled = true;
    app
}

deadstop_harness::scenarios!(register, "scenarios/", app = app);
