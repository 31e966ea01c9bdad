//! Errors of the core as the exceptions of `skbpool.errors`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};
use skbpool_capi::Failure;
use skbpool_pool::{
    AllocError, AuditError, BringError, CopyError, PoolError, PoolTooSmall, RegionError,
    ReserveError, SkbError,
};

/// What a method can fail with; `?` makes it of any error of the core, and PyO3 an exception of it.
#[derive(Debug)]
pub(crate) enum Error {
    /// Whatever the C functions can fail with as well.
    Failure(Failure),
    /// Memoryviews are alive.
    Exported { exports: u32 },
    /// The pool has fewer buffers than asked for.
    TooSmall(PoolTooSmall),
    /// The free lists are not as they should be.
    Audit(AuditError),
    /// An exception of Python's own.
    Python(PyErr),
}

macro_rules! from_failure {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Failure(error.into())
            }
        })*
    };
}

from_failure!(AllocError, BringError, CopyError, PoolError, SkbError);

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ReserveError> for Error {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::TooSmall(error) => error.into(),
            ReserveError::ForkedPool(error) => error.into(),
        }
    }
}

impl From<PoolTooSmall> for Error {
    fn from(error: PoolTooSmall) -> Self {
        Self::TooSmall(error)
    }
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        Self::Audit(error)
    }
}

impl From<PyErr> for Error {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| match error {
            Error::Failure(failure) => from_failure(py, &failure),
            Error::Exported { exports } => {
                let message = format!("{exports} memoryviews of it are alive; release them first");
                exception(py, "Exported", &message, &[("exports", exports.into())])
            }
            Error::TooSmall(error) => exception(
                py,
                "PoolTooSmall",
                &error.to_string(),
                &[
                    ("needed", error.needed.into()),
                    ("reserved", error.reserved.into()),
                    ("buffers", error.buffers.into()),
                ],
            ),
            Error::Audit(error @ AuditError::ForkedPool) => {
                exception(py, "ForkedPool", &error.to_string(), &[])
            }
            Error::Audit(error) => exception(py, "AuditFailed", &error.to_string(), &[]),
            Error::Python(error) => error,
        })
    }
}

/// `skbpool.errors`: importing may run Python code, so it is done once.
static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// An exception of `skbpool.errors` with its figures; if that cannot be made, why not.
pub(crate) fn exception(
    py: Python<'_>,
    class: &str,
    message: &str,
    figures: &[(&str, u64)],
) -> PyErr {
    let build = || {
        let keywords = PyDict::new(py);
        for (name, figure) in figures {
            keywords.set_item(name, figure)?;
        }
        let errors =
            ERRORS.get_or_try_init(py, || py.import("skbpool.errors").map(Bound::unbind))?;
        errors.bind(py).getattr(class)?.call((message,), Some(&keywords))
    };
    build().map_or_else(|error| error, PyErr::from_value)
}

fn from_failure(py: Python<'_>, failure: &Failure) -> PyErr {
    let (class, figures): (_, Vec<(&str, u64)>) = match failure {
        Failure::Released => ("BufferReleased", vec![]),
        Failure::Skb(error) => skb_error(error),
        Failure::Alloc(AllocError::Exhausted { buffers, in_flight, cached }) => (
            "PoolExhausted",
            vec![
                ("buffers", (*buffers).into()),
                ("in_flight", (*in_flight).into()),
                ("cached", (*cached).into()),
            ],
        ),
        Failure::Alloc(AllocError::Closed) => ("PoolClosed", vec![]),
        Failure::Alloc(AllocError::ForkedPool) => ("ForkedPool", vec![]),
        Failure::Bring(_) => ("BadMemory", vec![]),
        Failure::Pool(
            PoolError::Count { .. }
            | PoolError::Order { .. }
            | PoolError::Watermarks { .. }
            | PoolError::DepotShards { .. },
        )
        | Failure::BadName => ("BadPool", vec![]),
        Failure::Pool(PoolError::Region(RegionError::OutOfMemory { needed, available })) => {
            ("PoolMemory", vec![("needed", *needed), ("available", *available)])
        }
        Failure::Pool(PoolError::Region(_)) => ("PoolMemory", vec![]),
        Failure::BufferTooSmall { needed, buffer } => {
            ("BufferTooSmall", vec![("needed", (*needed).into()), ("buffer", (*buffer).into())])
        }
        Failure::NoPool => ("NoPool", vec![]),
        Failure::BadStage { .. } | Failure::NoLibrary => ("SkbpoolError", vec![]),
    };
    exception(py, class, &failure.to_string(), &figures)
}

fn skb_error(error: &SkbError) -> (&'static str, Vec<(&'static str, u64)>) {
    let room = |needed: u32, have: u32| vec![("needed", needed.into()), ("have", have.into())];
    match *error {
        SkbError::OutOfRange { start, end, size } => (
            "OutOfRange",
            vec![("start", start.into()), ("end", end.into()), ("size", size.into())],
        ),
        SkbError::Overlap { start, taken } => {
            ("Overlap", vec![("start", start.into()), ("taken", taken.into())])
        }
        SkbError::NoHeadroom { needed, have } => ("NoHeadroom", room(needed, have)),
        SkbError::NoTailroom { needed, have } => ("NoTailroom", room(needed, have)),
        SkbError::TooShort { needed, have } => ("TooShort", room(needed, have)),
        SkbError::Shared => ("Shared", vec![]),
        SkbError::ReadOnly => ("ReadOnly", vec![]),
        SkbError::NotArmed => ("NotArmed", vec![]),
        SkbError::NoViews => ("NoViews", vec![]),
        SkbError::TooManyReferences => ("TooManyReferences", vec![]),
        SkbError::Nonlinear => ("Nonlinear", vec![]),
        SkbError::NotEmpty => ("NotEmpty", vec![]),
    }
}

/// The exception for the C function that failed last on this thread.
#[pyfunction]
pub(crate) fn _take_failure(py: Python<'_>) -> Py<PyAny> {
    let failure = skbpool_capi::take_failure().unwrap_or(Failure::Released);
    from_failure(py, &failure).into_value(py).into_any()
}
