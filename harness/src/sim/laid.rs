//! Real code laid over a scripted component, for tests only. A scripted component can neither block for real nor hold
//! a value with a destructor that waits.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::world;

/// Code that runs in the component before its script. The component keeps what the code returns.
type TestCode = Arc<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

static TEST_CODE: LazyLock<Mutex<BTreeMap<String, TestCode>>> = LazyLock::new(Mutex::default);

/// Lays code over every component with this name, in all runs of the test's process.
pub(crate) fn lay<T: Any + Send>(name: &str, code: impl Fn() -> T + Send + Sync + 'static) {
    let code: TestCode = Arc::new(move || Box::new(code()));
    let before = all().insert(name.to_owned(), code);
    assert!(before.is_none(), "another test has a component {name:?}");
}

/// Runs the code that is laid over a component, and returns what that code returned.
pub(crate) fn call(part: usize) -> Option<Box<dyn Any + Send>> {
    let name = world::with(|world| world.parts.all[part].name.clone());
    let code = all().get(&*name).cloned();
    code.map(|code| code())
}

fn all() -> std::sync::MutexGuard<'static, BTreeMap<String, TestCode>> {
    TEST_CODE.lock().unwrap_or_else(PoisonError::into_inner)
}
