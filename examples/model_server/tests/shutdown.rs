//! The server's own registration in the simulator: each file of `scenarios` is a test.
//!
//! Its callers and its database are in memory: a caller a second, from the first second on, whose
//! prediction takes 300 ms. Its watchdog is on, and asks the scripted endpoint.

use model_server::{App, register};

fn app() -> App {
    let mut app = App::default();
    app.settings.watchdog.enabled = true;
    app
}

deadstop::scenarios!(register, "scenarios/", app = app);
