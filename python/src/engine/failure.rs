//! Errors of the engine as the exceptions of `skbpool.errors`.

use crate::error::{Error, exception};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use skbpool_deliver::{HubError, RingError};
use skbpool_engine::{
    CaptureOutputError, LeaseError, MessageError, NicDriverError, NicRunError, StampConsumerError,
    ViewError,
};
use skbpool_nic::{CaptureError, CaptureWriteError, NicError};
use skbpool_pool::AccountsError;
use skbpool_wire::EncodeError;

/// The exception for an error of the engine.
pub(crate) trait IntoException: std::fmt::Display {
    fn into_exception(self, py: Python<'_>) -> PyErr;
}

impl IntoException for MessageError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        let text = self.to_string();
        match self {
            Self::FrameTooLarge { index, length, limit } => {
                let figures =
                    [("index", index as u64), ("length", length.into()), ("limit", limit.into())];
                exception(py, "FrameTooLarge", &text, &figures)
            }
            Self::Malformed(_) | Self::Interface { .. } | Self::Sequence { .. } => {
                exception(py, "MalformedBatch", &text, &[])
            }
        }
    }
}

impl IntoException for EncodeError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        let text = self.to_string();
        let figures = match self {
            Self::FrameTooLarge { length } => {
                [("length", length.into()), ("limit", skbpool_wire::MAX_FRAME.into())]
            }
            Self::MessageTooLarge { encoded, limit } => {
                [("length", encoded as u64), ("limit", limit as u64)]
            }
            // The frames written are those that were pushed, into memory of the size asked for.
            _ => return PyRuntimeError::new_err(text),
        };
        exception(py, "FrameTooLarge", &text, &figures)
    }
}

impl IntoException for ViewError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Message(error) => error.into_exception(py),
            Self::Skb(error) => Error::from(error).into(),
        }
    }
}

impl IntoException for HubError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::PoolTooSmall(error) => Error::from(error).into(),
            Self::Accounts(error) => exception(py, "TooManyHolders", &error.to_string(), &[]),
            Self::Closed => exception(py, "PoolClosed", &self.to_string(), &[]),
            Self::ForkedPool(error) => Error::from(error).into(),
            Self::Copies(error) => Error::from(error).into(),
            Self::Ring(RingError::Memory { .. }) => {
                exception(py, "PoolMemory", &self.to_string(), &[])
            }
            Self::Ring(_) | Self::NoQuota { .. } | Self::NoCopyMemory { .. } => {
                PyValueError::new_err(self.to_string())
            }
        }
    }
}

impl IntoException for StampConsumerError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Hub(error) => error.into_exception(py),
            Self::Thread(_) => PyOSError::new_err(self.to_string()),
        }
    }
}

impl IntoException for CaptureError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        let figures = [("offset", self.offset)];
        let error = exception(py, "CaptureError", &self.to_string(), &figures);
        match error.value(py).setattr("file", &self.file) {
            Ok(()) => error,
            Err(error) => error,
        }
    }
}

impl IntoException for CaptureWriteError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            // Keeps the kind: a BrokenPipeError tells that nobody reads any more.
            Self::Io(error) => error.into(),
            error => exception(py, "CaptureError", &error.to_string(), &[]),
        }
    }
}

impl IntoException for CaptureOutputError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Message(error) => error.into_exception(py),
            Self::Capture(error) => error.into_exception(py),
        }
    }
}

impl IntoException for NicRunError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        let text = self.to_string();
        match self {
            Self::Pool(error) => Error::from(error).into(),
            Self::Capture(error) => error.into_exception(py),
            Self::Accounts(_) => exception(py, "TooManyHolders", &text, &[]),
            Self::Nic(NicError::NoBuffers { .. }) => exception(py, "PoolTooSmall", &text, &[]),
            Self::Nic(NicError::Memory { .. }) => exception(py, "PoolMemory", &text, &[]),
            Self::Nic(_) | Self::Traffic(_) => PyValueError::new_err(text),
            Self::Thread(_) => PyOSError::new_err(text),
        }
    }
}

impl IntoException for NicDriverError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        let text = self.to_string();
        match self {
            Self::Hub(error) => error.into_exception(py),
            Self::Reserve(error) => Error::from(error).into(),
            Self::Capture(error) => error.into_exception(py),
            Self::Nic(NicError::NoBuffers { reason, .. }) => Error::from(reason).into(),
            Self::Nic(NicError::Memory { .. }) => exception(py, "PoolMemory", &text, &[]),
            Self::Nic(_) | Self::Traffic(_) => PyValueError::new_err(text),
            Self::Thread(_) => PyOSError::new_err(text),
        }
    }
}

impl IntoException for AccountsError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        exception(py, "TooManyHolders", &self.to_string(), &[])
    }
}

impl IntoException for LeaseError {
    fn into_exception(self, py: Python<'_>) -> PyErr {
        let text = self.to_string();
        match self {
            Self::Unknown { handle } => {
                exception(py, "UnknownHandle", &text, &[("handle", handle)])
            }
            Self::NeedsBuffer { handle } | Self::NeedsSkb { handle } | Self::Twice { handle } => {
                exception(py, "WrongHandle", &text, &[("handle", handle)])
            }
            Self::OutOfRange { offset, length, size, .. } => {
                let (start, end) = (u64::from(offset), u64::from(offset) + length);
                let figures = [("start", start), ("end", end), ("size", size.into())];
                exception(py, "OutOfRange", &text, &figures)
            }
            Self::Overlap { .. } => exception(py, "Overlap", &text, &[]),
            Self::OriginalLength { .. } => exception(py, "BadView", &text, &[]),
            Self::TooLarge { .. } => exception(py, "OutOfRange", &text, &[]),
            Self::TooManyHandles { held, more, limit } => {
                let figures = [("held", held.into()), ("more", more), ("limit", limit.into())];
                exception(py, "TooManyHandles", &text, &figures)
            }
            Self::UsedUp => exception(py, "TooManyHandles", &text, &[]),
            Self::Reserve(error) => Error::from(error).into(),
            Self::Alloc(error) => Error::from(error).into(),
            Self::Skb { error, .. } => Error::from(error).into(),
        }
    }
}

/// The exception for data of `length` bytes where a message has room for `limit`.
pub(super) fn too_large(py: Python<'_>, length: u64, limit: u64) -> PyErr {
    let text = format!(
        "the ranges have {length} bytes together, more than the limit of {limit}: read them in several calls"
    );
    exception(py, "FrameTooLarge", &text, &[("length", length), ("limit", limit)])
}

/// `?` for results of the engine.
pub(super) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T, E: IntoException> OrRaise<T> for Result<T, E> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| error.into_exception(py))
    }
}
