//! Notes panics of simulated code for the verdict, which shows each once and with its scenario, instead of printing
//! them in each of a scenario's runs.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

use crate::sim::note_panic;

/// Installs a panic hook, once for the process, that notes panics of simulated code in their run. All other panics go
/// to the hook that was there.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if !note_panic(info) {
                before(info);
            }
        }));
    });
}
