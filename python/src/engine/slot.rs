//! Something that can be used by one thread at a time until it is closed.

use crate::error::exception;
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A native object behind a Python one, and its last figures.
pub(super) struct Slot<T, S> {
    what: &'static str,
    state: Mutex<State<T, S>>,
}

enum State<T, S> {
    Open(T),
    Closed(S),
}

impl<T: Send, S: Clone + Send> Slot<T, S> {
    pub(super) fn new(what: &'static str, open: T) -> Self {
        Self { what, state: Mutex::new(State::Open(open)) }
    }

    /// Works on the object, detached from the interpreter; other threads wait their turn.
    ///
    /// # Errors
    /// `Closed`.
    pub(super) fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        let done = py.detach(|| self.with_detached(work));
        done.ok_or_else(|| self.closed(py))
    }

    /// As [`Slot::with`], for a caller who has detached already; `None` if it was closed.
    pub(super) fn with_detached<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        match &mut *self.state() {
            State::Open(open) => Some(work(open)),
            State::Closed(_) => None,
        }
    }

    /// What is raised for an object that was closed.
    pub(super) fn closed(&self, py: Python<'_>) -> PyErr {
        let text = format!("the {} is closed; make another one", self.what);
        exception(py, "Closed", &text, &[])
    }

    /// The figures now, or those at the end.
    pub(super) fn figures(&self, py: Python<'_>, read: impl FnOnce(&T) -> S + Send) -> S {
        py.detach(|| match &*self.state() {
            State::Open(open) => read(open),
            State::Closed(last) => last.clone(),
        })
    }

    /// Lets the object go; `end` tells its last figures. Closing twice does nothing.
    pub(super) fn close(
        &self,
        py: Python<'_>,
        last: impl FnOnce(&T) -> S + Send,
        end: impl FnOnce(T) -> Option<S> + Send,
    ) {
        py.detach(|| {
            let mut state = self.state();
            if let State::Open(open) = &*state {
                let closed = State::Closed(last(open));
                if let State::Open(open) = std::mem::replace(&mut *state, closed)
                    && let Some(last) = end(open)
                {
                    *state = State::Closed(last);
                }
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State<T, S>> {
        // The engine's objects stay consistent when something unwinds through them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
