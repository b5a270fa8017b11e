//! A worker on a host that a test drives by hand, and the short forms in which tests use it.

use std::sync::{Arc, Mutex};

use deadstop::context::{BodyOpts, CallOpts, Report, WorkerCtx};
use deadstop::journal::Outcome;

use crate::manual_host::ManualHost;

pub fn worker() -> (Arc<ManualHost>, WorkerCtx) {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    (host, ctx)
}

pub fn thread(ctx: &WorkerCtx, name: &str, opts: BodyOpts) {
    ctx.add_thread(name, opts, |_| {}).expect("accepted");
}

pub fn cleanup(ctx: &WorkerCtx, name: &str, opts: CallOpts) {
    ctx.defer_cleanup(name, opts, |_| {}).expect("accepted");
}

pub fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    let steps = report.steps.iter();
    steps.map(|step| (&*step.name, step.outcome)).collect()
}

/// Notes in the order in which they were put down.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn put(&self, note: impl Into<String>) {
        self.0.lock().expect("not poisoned").push(note.into());
    }
    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}
