//! What can be made to go wrong from outside: for tests of the whole process, and for trying things out.
//! There is no way in unless `MODEL_SERVER_FAULTS` is set.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What was planted.
#[derive(Debug, Default)]
pub struct Faults {
    predictor_hangs: AtomicBool,
    health: AtomicU8,
}

/// How the health endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// 200.
    Good,
    /// 503.
    Bad,
    /// Never.
    Silent,
}

impl Faults {
    /// The predictor's end will hang for ever.
    pub fn hang_predictor(&self) {
        self.predictor_hangs.store(true, Ordering::SeqCst);
    }

    /// Hangs, if that was planted: for real, and deaf to its scope, as a driver's call into a device
    /// is.
    pub fn hang_here(&self) {
        while self.predictor_hangs.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    /// The health endpoint answers so from now on.
    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::SeqCst);
    }

    /// How the health endpoint answers.
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::SeqCst) {
            0 => Health::Good,
            1 => Health::Bad,
            _ => Health::Silent,
        }
    }
}
