//! Faults that can be planted from outside: for tests of the whole process, and for experiments. Nothing can be
//! planted unless `MODEL_SERVER_FAULTS` is `1`.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The faults that were planted.
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
    /// Makes the predictor's end hang for ever.
    pub fn hang_predictor(&self) {
        self.predictor_hangs.store(true, Ordering::SeqCst);
    }

    /// Hangs, if that was planted. It really blocks the thread and does not heed its scope, as a driver's call into a
    /// device does.
    pub fn hang_here(&self) {
        while self.predictor_hangs.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    /// Sets how the health endpoint answers from now on.
    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::SeqCst);
    }

    /// Returns how the health endpoint answers.
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::SeqCst) {
            0 => Health::Good,
            1 => Health::Bad,
            _ => Health::Silent,
        }
    }
}
