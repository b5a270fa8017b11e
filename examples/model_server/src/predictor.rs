//! The predictor, which makes the predictions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};

use crate::faults::Faults;

/// A model that was loaded. Jobs hold it by a reference count. A call after its end is an error.
#[derive(Debug)]
pub struct Predictor {
    weights: Vec<f64>,
    terminated: AtomicBool,
}

/// The error of a prediction that was not made, since the model had ended.
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

    /// Makes a prediction, which takes as long as `takes`. The time goes through the scope, so that it is real in
    /// production and virtual in the simulator.
    ///
    /// # Errors
    ///
    /// [`Terminated`], if the model was closed before or meanwhile.
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

/// The closeable of the predictor.
#[derive(Debug)]
pub struct Terminate {
    /// Predictor that it ends.
    pub predictor: Arc<Predictor>,
    /// Faults that were planted.
    pub faults: Arc<Faults>,
}

impl Close for Terminate {
    fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
        self.faults.hang_here();
        self.predictor.terminated.store(true, Ordering::SeqCst);
        Ok(())
    }
}
