//! `skbpool._native.Bell`.

use super::slot::forked;
use crate::arguments::Timeout;
use crate::wait::wait_for;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::Instant;

/// Where consumers that found nothing are called: one thread can wait for many of them.
///
/// A consumer is called once for each `Subscription.arm()` that returned True.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct Bell {
    pub(super) bell: Arc<skbpool_deliver::Bell>,
}

#[pymethods]
impl Bell {
    #[new]
    fn new() -> Self {
        Self { bell: skbpool_deliver::Bell::new() }
    }

    /// Wait until somebody is called, and return the token; None after `timeout` seconds (None:
    /// never). Other threads run meanwhile, and Ctrl-C ends the wait.
    ///
    /// Raises:
    ///     ForkedPool: Another process made it, of which this one is a fork.
    #[pyo3(signature = (timeout), text_signature = "($self, timeout)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<Option<u64>> {
        if self.bell.is_inherited() {
            return Err(forked(py, "bell"));
        }
        wait_for(py, timeout.0, |deadline| {
            self.bell.wait(deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Call whoever waits, with a token. Nobody, in a fork of the process that made it.
    fn ring(&self, py: Python<'_>, token: u64) {
        py.detach(|| self.bell.ring(token));
    }
}
