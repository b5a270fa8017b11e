//! The predictor: what the server serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};

use crate::faults::Faults;

/// A model that was loaded. Jobs hold it by a reference count, and it says so where one of them calls it
/// after its end.
#[derive(Debug)]
pub struct Predictor {
    weights: Vec<f64>,
    terminated: AtomicBool,
}

/// A prediction that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminated;

impl std::fmt::Display for Terminated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the model is terminated already")
    }
}

impl std::error::Error for Terminated {}

impl Predictor {
    /// Loads the model.
    pub fn load() -> Self {
        Predictor {
            weights: vec![0.5, 0.25, 0.125],
            terminated: AtomicBool::new(false),
        }
    }

    /// Predicts; it takes as long as it is told to. The time goes through the scope, so that it is real
    /// in production and virtual in the simulator.
    ///
    /// # Errors
    ///
    /// [`Terminated`], if the model was closed meanwhile.
    pub fn predict(
        &self,
        features: &[f64],
        takes: Duration,
        scope: &Scope,
    ) -> Result<f64, Terminated> {
        if !takes.is_zero() {
            scope.sleep(takes);
        }
        if self.terminated.load(Ordering::SeqCst) {
            return Err(Terminated);
        }
        let terms = features.iter().zip(self.weights.iter().cycle());
        Ok(terms.map(|(feature, weight)| feature * weight).sum())
    }
}

/// The predictor's end.
#[derive(Debug)]
pub struct Terminate {
    /// The model.
    pub predictor: Arc<Predictor>,
    /// What was planted.
    pub faults: Arc<Faults>,
}

impl Close for Terminate {
    fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
        self.faults.hang_here();
        self.predictor.terminated.store(true, Ordering::SeqCst);
        Ok(())
    }
}
