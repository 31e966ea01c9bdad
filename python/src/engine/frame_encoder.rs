//! `skbpool._native.FrameEncoder`.

use super::failure::{IntoException, OrRaise};
use super::memory::Exported;
use crate::py_types::{with_batch, with_skb};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use skbpool_engine::{FrameComposer, MessageError};
use skbpool_pool::Skb;
use skbpool_wire::{EncodeError, Frame};
use std::sync::{Mutex, PoisonError};

/// Puts frames of Python into encoded IngestRequest messages, each as large as the limit allows.
///
/// A message ends where the next frame does not fit, its time is too far off, or its link type or
/// interface differs.
///
/// Args:
///     max_message_bytes: Largest message.
///     driver: What the daemon accounts the frames under, told in the first message.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct FrameEncoder {
    /// Locked while bytes are copied, never while Python code may run or while the interpreter lock is
    /// waited for: only by [`FrameEncoder::with`]. By threads that have that lock, so that a fork of Python
    /// code never copies it locked.
    composer: Mutex<FrameComposer>,
}

/// A message that is full, and how many frames are in it.
type Full = (Vec<u8>, usize);

impl FrameEncoder {
    /// Works on the composer, which is unlocked again when this returns: exceptions are made after it.
    fn with<R>(&self, work: impl FnOnce(&mut FrameComposer) -> R) -> R {
        // The composer stays consistent when something unwinds through it.
        work(&mut self.composer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What `push` answers, and how many frames are in the message that is full.
    fn pushed(
        &self,
        push: impl FnOnce(&mut FrameComposer) -> Result<Option<Vec<u8>>, EncodeError>,
    ) -> Result<Option<Full>, EncodeError> {
        self.with(|composer| {
            // In one go: between two, others may push.
            let frames = composer.pending();
            Ok(push(composer)?.map(|message| (message, frames)))
        })
    }

    /// Adds a frame of a list, however much of it is told.
    fn add(&self, item: &Bound<'_, PyAny>, now_ns: u64) -> PyResult<Option<Full>> {
        if let Ok(told) = item.cast::<PyTuple>() {
            type Told<'a> = (Bound<'a, PyAny>, u64, u32, u16, u32);
            let (data, timestamp_ns, original_length, link_type, interface): Told<'_> =
                told.extract()?;
            return self.add_told(&data, timestamp_ns, original_length, link_type, interface);
        }
        // Asking whether it is an skb costs more than to send it.
        if item.is_exact_instance_of::<PyBytes>() {
            return self.add_told(item, now_ns, 0, 1, 0);
        }
        let push = |skb: &Skb| Ok(self.pushed(|composer| composer.push_skb(skb, now_ns)));
        match with_skb(item, push)? {
            Some(pushed) => pushed.or_raise(item.py()),
            None => self.add_told(item, now_ns, 0, 1, 0),
        }
    }

    fn add_told(
        &self,
        data: &Bound<'_, PyAny>,
        timestamp_ns: u64,
        original_length: u32,
        link_type: u16,
        interface: u32,
    ) -> PyResult<Option<Full>> {
        if interface > u32::from(u16::MAX) {
            let error = MessageError::Interface { interface };
            return Err(PyValueError::new_err(error.to_string()));
        }
        let exported = Exported::new(data)?;
        let bytes = exported.bytes();
        let original_length = match original_length {
            // Too long a frame is refused for its length.
            0 => u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            given => given,
        };
        let frame = Frame { bytes, original_length, timestamp_ns, link_type, interface };
        self.pushed(|composer| composer.push(&frame)).or_raise(data.py())
    }
}

/// A message, how many frames are in it, and how many items of the list are in messages or wait for one.
type Taken<'py> = (Option<Bound<'py, PyBytes>>, usize, usize);

/// The skbs from `start` on, until one begins another message; how many of all were taken, and the error
/// of the next one.
fn push_skbs(
    composer: &mut FrameComposer,
    skbs: &[Skb],
    start: usize,
    now_ns: u64,
) -> (Option<Full>, usize, Option<EncodeError>) {
    for (index, skb) in skbs.iter().enumerate().skip(start) {
        let frames = composer.pending();
        match composer.push_skb(skb, now_ns) {
            Ok(None) => {}
            Ok(Some(full)) => return (Some((full, frames)), index + 1, None),
            Err(error) => return (None, index, Some(error)),
        }
    }
    (None, skbs.len(), None)
}

/// Says which of many frames an error is about.
fn at(py: Python<'_>, error: PyErr, index: usize) -> PyErr {
    match error.value(py).setattr("index", index) {
        Ok(()) => error,
        Err(error) => error,
    }
}

#[pymethods]
impl FrameEncoder {
    #[new]
    #[pyo3(signature = (max_message_bytes, driver = ""))]
    fn new(max_message_bytes: usize, driver: &str) -> Self {
        Self { composer: Mutex::new(FrameComposer::new(max_message_bytes, driver)) }
    }

    /// Add a frame; return the message of those before it if it begins another, else None.
    ///
    /// Args:
    ///     data: The bytes: anything with a buffer, an skb too. Copied.
    ///     timestamp_ns: When it arrived, in nanoseconds since the Unix epoch.
    ///     original_length: Bytes it had before it was cut short; 0: it was not.
    ///     link_type: LINKTYPE_ number of the pcap registry.
    ///     interface: Number of the interface it came in on, at most 65,535.
    ///
    /// Raises:
    ///     FrameTooLarge: The frame is over 262,144 bytes, or fits no message. The others are as
    ///         they were.
    ///     ValueError: The interface is out of range.
    #[pyo3(signature = (data, timestamp_ns, original_length = 0, link_type = 1, interface = 0))]
    fn push<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        timestamp_ns: u64,
        original_length: u32,
        link_type: u16,
        interface: u32,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let full = self.add_told(data, timestamp_ns, original_length, link_type, interface)?;
        Ok(full.map(|(message, _)| PyBytes::new(py, &message)))
    }

    /// Add frames of a list or batch, from `start` on, until one of them begins another message.
    ///
    /// Args:
    ///     frames: A list or tuple of bytes-like objects, of skbs, and of tuples with all that `push` takes; or an
    ///         `SkbBatch`. They are copied and stay whose they are. An skb tells its time, link type,
    ///         interface and original length itself.
    ///     start: Where to begin.
    ///     now_ns: When those arrived that do not say so, in nanoseconds since the Unix epoch.
    ///
    /// Returns:
    ///     The message that is full, or None; the number of its frames, or 0; where to go on, which is the
    ///     end once everything was taken.
    ///
    /// Raises:
    ///     FrameTooLarge: As `push`, with the `index` of the frame, which was left out with those behind it.
    ///     ValueError, TypeError, BufferError: The same goes.
    #[pyo3(signature = (frames, start, now_ns))]
    fn push_many<'py>(
        &self,
        py: Python<'py>,
        frames: &Bound<'py, PyAny>,
        start: usize,
        now_ns: u64,
    ) -> PyResult<Taken<'py>> {
        let list = frames.cast::<PyList>().ok();
        let tuple = frames.cast::<PyTuple>().ok();
        if list.is_none() && tuple.is_none() {
            let (full, next, error) = with_batch(frames, |batch| {
                self.with(|composer| push_skbs(composer, batch.as_slice(), start, now_ns))
            })?;
            if let Some(error) = error {
                return Err(at(py, error.into_exception(py), next));
            }
            let (message, frames) = full.unzip();
            let message = message.map(|message| PyBytes::new(py, &message));
            return Ok((message, frames.unwrap_or(0), next));
        }
        let mut index = start;
        // Asked again each time: a buffer that runs Python code may make the list shorter.
        while let Some(item) = match (list, tuple) {
            (Some(list), _) => list.get_item(index).ok(),
            (None, tuple) => tuple.and_then(|tuple| tuple.get_item(index).ok()),
        } {
            let full = self.add(&item, now_ns).map_err(|error| at(py, error, index))?;
            index += 1;
            if let Some((message, frames)) = full {
                return Ok((Some(PyBytes::new(py, &message)), frames, index));
            }
        }
        Ok((None, 0, index))
    }

    /// Return the message of the frames that wait, or None if none does.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let message = self.with(FrameComposer::flush).or_raise(py)?;
        Ok(message.map(|message| PyBytes::new(py, &message)))
    }

    /// Frames that wait for a message.
    #[getter]
    fn pending(&self) -> usize {
        self.with(|composer| composer.pending())
    }
}
