//! Real code laid over a scripted component, for tests only. A scripted component can neither block for real nor hold
//! a value with a destructor that waits.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::world;

/// Code that runs in the component before its script. The component keeps what the code returns.
type Laid = Arc<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

static LAID: LazyLock<Mutex<BTreeMap<String, Laid>>> = LazyLock::new(Mutex::default);

/// Lays code over every component with this name, in all runs of the test's process.
pub(crate) fn lay<T: Any + Send>(name: &str, code: impl Fn() -> T + Send + Sync + 'static) {
    let laid: Laid = Arc::new(move || Box::new(code()));
    let before = all().insert(name.to_owned(), laid);
    assert!(before.is_none(), "another test has a component {name:?}");
}

/// Runs the code that is laid over a component, and returns what that code returned.
pub(crate) fn call(part: usize) -> Option<Box<dyn Any + Send>> {
    let name = world::with(|world| world.parts.all[part].name.clone());
    let laid = all().get(&*name).cloned();
    laid.map(|laid| laid())
}

fn all() -> std::sync::MutexGuard<'static, BTreeMap<String, Laid>> {
    LAID.lock().unwrap_or_else(PoisonError::into_inner)
}
