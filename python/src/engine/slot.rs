//! Something that can be used by one thread at a time until it is closed.

use crate::error::exception;
use pyo3::prelude::*;
use skbpool_pool::fork::Birthplace;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A native object behind a Python one, and its last figures.
pub(super) struct Slot<T, S> {
    what: &'static str,
    born: Birthplace,
    state: Mutex<State<T, S>>,
}

enum State<T, S> {
    Open(T),
    Closed(S),
}

impl<T: Send, S: Clone + Send> Slot<T, S> {
    pub(super) fn new(what: &'static str, open: T) -> Self {
        Self { what, born: Birthplace::here(), state: Mutex::new(State::Open(open)) }
    }

    /// Works on the object, detached from the interpreter; other threads wait their turn.
    ///
    /// # Errors
    /// `Closed`, `ForkedPool`.
    pub(super) fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        let done = py.detach(|| self.with_detached(work));
        done.ok_or_else(|| self.closed(py))
    }

    /// As [`Slot::with`], for work of microseconds that runs no Python code and drops no Python object:
    /// stays attached unless another thread has the object. Detaching costs more where threads wait for
    /// the interpreter lock.
    ///
    /// # Errors
    /// `Closed`, `ForkedPool`.
    pub(super) fn with_briefly<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        if self.born.is_elsewhere() {
            return Err(self.closed(py));
        }
        let Ok(mut state) = self.state.try_lock() else {
            return self.with(py, work);
        };
        match &mut *state {
            State::Open(open) => Ok(work(open)),
            State::Closed(_) => {
                drop(state);
                Err(self.closed(py))
            }
        }
    }

    /// As [`Slot::with`], for a caller who has detached already; `None` if it was closed.
    pub(super) fn with_detached<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.born.is_elsewhere() {
            return None;
        }
        match &mut *self.state() {
            State::Open(open) => Some(work(open)),
            State::Closed(_) => None,
        }
    }

    /// Whether it was made by the process that forked this one.
    pub(super) fn is_inherited(&self) -> bool {
        self.born.is_elsewhere()
    }

    /// What is raised for an object that was closed, or inherited by a fork.
    pub(super) fn closed(&self, py: Python<'_>) -> PyErr {
        if self.born.is_elsewhere() {
            return forked(py, self.what);
        }
        let text = format!("the {} is closed; make another one", self.what);
        exception(py, "Closed", &text, &[])
    }

    /// The figures now, or those at the end.
    ///
    /// # Errors
    /// `ForkedPool`.
    pub(super) fn figures(&self, py: Python<'_>, read: impl FnOnce(&T) -> S + Send) -> PyResult<S> {
        if self.born.is_elsewhere() {
            return Err(self.closed(py));
        }
        Ok(py.detach(|| match &*self.state() {
            State::Open(open) => read(open),
            State::Closed(last) => last.clone(),
        }))
    }

    /// Lets the object go; `end` tells its last figures. Closing twice does nothing, and neither does
    /// closing what another process made: its lock may be held by a thread that is not here.
    pub(super) fn close(
        &self,
        py: Python<'_>,
        last: impl FnOnce(&T) -> S + Send,
        end: impl FnOnce(T) -> Option<S> + Send,
    ) {
        if self.born.is_elsewhere() {
            return;
        }
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

/// What is raised for something whose threads and locks are those of the process that made it.
pub(super) fn forked(py: Python<'_>, what: &str) -> PyErr {
    let text = format!("the {what} belongs to the process that forked this one; make another one");
    exception(py, "ForkedPool", &text, &[])
}
