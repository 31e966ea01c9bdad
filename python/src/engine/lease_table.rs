//! `skbpool._native.LeaseTable`.

use super::drops::drops_dict;
use super::failure::OrRaise;
use super::lease_port::LeasePort;
use super::memory::bytes_to_fill;
use super::slot::Slot;
use crate::arguments::Number;
use crate::pool::Pool;
use crate::record::fields;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use skbpool_engine::{LeaseError, LeaseHolds, LeaseRange, LeaseView, LeaseWrite};
use skbpool_pool::Accounts;

/// Copying or clearing up to so many bytes takes less than giving up the interpreter lock may, which
/// another thread then keeps for milliseconds.
const BRIEF_BYTES: usize = 256 << 10;

/// Likewise for handles.
const BRIEF_HANDLES: usize = 512;

/// What one client's session was lent, under handles that only this table knows.
///
/// Every verb takes all of its arguments or changes nothing. The table is a holder of kind "session";
/// closing it brings everything home.
///
/// Args:
///     name: Name it is accounted under.
///     first_generation: A random number below 2**31, with which its handles begin.
///     max_handles: Handles it may hold.
///
/// Raises:
///     TooManyHolders: There are as many holders as can be told apart.
#[pyclass(module = "skbpool._native", frozen)]
pub(crate) struct LeaseTable {
    table: Slot<skbpool_engine::LeaseTable, LeaseHolds>,
}

impl LeaseTable {
    /// Runs a verb; detached if it has much to do.
    fn run<R: Send>(
        &self,
        py: Python<'_>,
        is_brief: bool,
        verb: impl FnOnce(&mut skbpool_engine::LeaseTable) -> Result<R, LeaseError> + Send,
    ) -> PyResult<R> {
        let done =
            if is_brief { self.table.with_briefly(py, verb) } else { self.table.with(py, verb) };
        done?.or_raise(py)
    }
}

#[pymethods]
impl LeaseTable {
    #[new]
    #[pyo3(
        signature = (name, *, first_generation, max_handles),
        text_signature = "(name, *, first_generation, max_handles)"
    )]
    fn new(
        py: Python<'_>,
        name: &str,
        first_generation: Number,
        max_handles: Number,
    ) -> PyResult<Self> {
        let (first, most) = (first_generation.0, max_handles.0);
        let accounts = Accounts::global();
        let table = py.detach(|| skbpool_engine::LeaseTable::open(accounts, name, first, most));
        Ok(Self { table: Slot::new("session", table.or_raise(py)?) })
    }

    /// Take `count` zeroed buffers out of a pool, of those that are promised to nobody: all or none.
    ///
    /// Returns:
    ///     A handle for each.
    ///
    /// Raises:
    ///     PoolTooSmall: Too few are unpromised.
    ///     PoolExhausted: Too few are free.
    ///     PoolClosed: There are none any more.
    ///     TooManyHandles: The session would hold too many.
    ///     Closed: The session has ended, as below.
    fn allocate(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, Pool>,
        count: Number,
    ) -> PyResult<Vec<u64>> {
        let pool = &pool.get().pool;
        let bytes = (count.0 as usize).saturating_mul(pool.buffer_bytes() as usize);
        self.run(py, bytes <= BRIEF_BYTES, |table| table.allocate(pool, count.0, true))
    }

    /// Write into buffers, in this order: (handle, offset, bytes) each.
    ///
    /// Raises:
    ///     UnknownHandle: There is nothing under a handle, as below.
    ///     WrongHandle: One is of an skb.
    ///     OutOfRange: Bytes would end beyond their buffer.
    fn write(
        &self,
        py: Python<'_>,
        writes: Vec<(u64, Number, Bound<'_, PyBytes>)>,
    ) -> PyResult<()> {
        fn of<'a>((buffer, offset, data): &'a (u64, Number, Bound<'_, PyBytes>)) -> LeaseWrite<'a> {
            LeaseWrite { buffer: *buffer, offset: offset.0, data: data.as_bytes() }
        }
        let copies: Vec<LeaseWrite<'_>> = writes.iter().map(of).collect();
        let bytes = copies.iter().map(|write| write.data.len()).sum::<usize>();
        self.run(py, bytes <= BRIEF_BYTES, |table| table.write(&copies))
    }

    /// Read bytes of buffers and skbs: (handle, offset, length) each; length `None`: to the end.
    ///
    /// Raises:
    ///     UnknownHandle, OutOfRange: As above.
    ///     FrameTooLarge: Together they are more than `max_bytes`.
    fn read<'py>(
        &self,
        py: Python<'py>,
        ranges: Vec<(u64, Number, Option<Number>)>,
        max_bytes: u64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let range = |&(handle, offset, length): &(u64, Number, Option<Number>)| LeaseRange {
            handle,
            offset: offset.0,
            length: length.map(|length| length.0),
        };
        let ranges: Vec<LeaseRange> = ranges.iter().map(range).collect();
        let sizes = self.run(py, true, |table| table.measure(&ranges))?;
        let total = sizes.iter().copied().map(u64::from).sum::<u64>();
        if total > max_bytes {
            return Err(super::failure::too_large(py, total, max_bytes));
        }
        let mut parts = Vec::with_capacity(sizes.len());
        for size in sizes {
            parts.push(bytes_to_fill(py, size as usize)?);
        }
        let (objects, mut memory): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let is_brief = total <= BRIEF_BYTES as u64;
        self.run(py, is_brief, |table| table.read(&ranges, &mut memory))?;
        Ok(objects)
    }

    /// Cut views of buffers, for each all that there are to be, and use up the buffers' handles.
    ///
    /// Args:
    ///     views: (buffer, offset, length, original_length, timestamp_ns, link_type, interface) each;
    ///         an original_length of 0: the frame was not cut short.
    ///
    /// Returns:
    ///     A handle for each view.
    ///
    /// Raises:
    ///     UnknownHandle, WrongHandle, TooManyHandles: As above.
    ///     OutOfRange: A view would end beyond its buffer; a link type or interface over 65,535.
    ///     Overlap: Views of a buffer overlap.
    ///     BadView: A view is longer than its frame was.
    fn make_skb(
        &self,
        py: Python<'_>,
        views: Vec<(u64, u32, u32, u32, u64, u32, u32)>,
    ) -> PyResult<Vec<u64>> {
        let view =
            |&(buffer, offset, length, original_length, timestamp_ns, link_type, interface): &_| {
                LeaseView {
                    buffer,
                    offset,
                    length,
                    original_length,
                    timestamp_ns,
                    link_type,
                    interface,
                }
            };
        let views: Vec<LeaseView> = views.iter().map(view).collect();
        self.run(py, views.len() <= BRIEF_HANDLES, |table| table.make_skb(&views))
    }

    /// Make another view of the same bytes of each skb.
    ///
    /// Raises:
    ///     UnknownHandle, TooManyHandles: As above.
    ///     WrongHandle: One is of a buffer.
    ///     TooManyReferences: A buffer has as many views as can be counted.
    fn clone(&self, py: Python<'_>, skbs: Vec<u64>) -> PyResult<Vec<u64>> {
        self.run(py, skbs.len() <= BRIEF_HANDLES, |table| table.clone_skbs(&skbs))
    }

    /// Make views of parts of skbs: (handle, offset, length) each.
    ///
    /// Raises:
    ///     OutOfRange: A part ends beyond its skb; and as `clone`.
    fn slice(&self, py: Python<'_>, slices: Vec<(u64, u32, u32)>) -> PyResult<Vec<u64>> {
        self.run(py, slices.len() <= BRIEF_HANDLES, |table| table.slice_skbs(&slices))
    }

    /// Hand skbs to every consumer, through a port, and use up their handles.
    ///
    /// Returns:
    ///     As `LeasePort.deliver`.
    ///
    /// Raises:
    ///     UnknownHandle: As above.
    ///     WrongHandle: One is of a buffer, or named twice.
    ///     Closed: The port was closed.
    fn deliver<'py>(
        &self,
        py: Python<'py>,
        port: &Bound<'py, LeasePort>,
        skbs: Vec<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let port = &port.get().port;
        port.with_briefly(py, |_| ())?;
        let mut taken = self.run(py, skbs.len() <= BRIEF_HANDLES, |table| table.take(&skbs))?;
        let done = port.with(py, |port| port.deliver(&mut taken.skbs))?;
        Ok(fields!(py,
            delivered: done.delivered,
            unclaimed: done.unclaimed,
            dropped: drops_dict(py, &done.dropped)?,
        ))
    }

    /// Let go of buffers and skbs and use up their handles.
    ///
    /// Raises:
    ///     UnknownHandle: As above.
    ///     WrongHandle: One is named twice.
    fn release(&self, py: Python<'_>, handles: Vec<u64>) -> PyResult<()> {
        self.run(py, handles.len() <= BRIEF_HANDLES, |table| table.release(&handles))
    }

    /// Return what it holds; after closing, what it held then.
    ///
    /// Returns:
    ///     `count`: handles; `bytes`: what they are charged for; `oldest`: seconds since the oldest
    ///     came; `peak_count`, `peak_bytes`: the most of both.
    fn holds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let holds = self.table.figures(py, skbpool_engine::LeaseTable::holds)?;
        Ok(fields!(py,
            count: holds.count,
            bytes: holds.bytes,
            oldest: holds.oldest.as_secs_f64(),
            peak_count: holds.peak_count,
            peak_bytes: holds.peak_bytes,
        ))
    }

    /// Return how many handles it has of a pool, and their bytes.
    fn holds_of(&self, py: Python<'_>, pool: &Bound<'_, Pool>) -> PyResult<(u32, u64)> {
        let pool = &pool.get().pool;
        self.table.with_briefly(py, |table| table.holds_of(pool))
    }

    /// End the session: its handles are dead, and everything comes home. Closing twice does nothing.
    fn close(&self, py: Python<'_>) {
        self.table.close(py, skbpool_engine::LeaseTable::holds, |table| Some(table.close()));
    }
}
