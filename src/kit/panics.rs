//! Panics of simulated code: noted for the verdict, where they stand once and with their scenario, instead of being
//! printed in each of a scenario's runs.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

use crate::sim::note_panic;

/// Has panics of simulated code noted in their run, once for the process. All others go to the hook that was there.
pub(super) fn observe() {
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
