//! `skbpool.Pool`.

use crate::arguments::{Number, Timeout, Whole, duration};
use crate::buffer::Buffer;
use crate::engine::pool_events::PoolEvents;
use crate::error::Error;
use crate::pool_settings::{Marks, builder};
use crate::provenance::{self, name_caller};
use crate::py_types::settle_slices;
use crate::record::{fields, record};
use crate::reservation::Reservation;
use crate::wait::wait_for;
use pyo3::prelude::*;
use pyo3::types::PyList;
use skbpool_pool::AllocError;

/// A pool of equal packet buffers.
///
/// All memory is mapped and faulted in at once. It lives as long as the pool object or any view of
/// its buffers: closing or deleting the pool leaves views valid.
///
/// Args:
///     count: Buffers, 1 to 16,777,215.
///     order: Each has `4096 << order` bytes; 0 to 10.
///     name: The name in figures and errors.
///     huge_pages: "never", "try" (ordinary pages if the kernel has no huge ones), or "require".
///     watermarks: Free buffers, those in the caches of threads not among them: with fewer than the first
///         the pool is low, with the second it has recovered; `0 <= low <= high <= count`. None: a
///         sixteenth and an eighth of them.
///     depot_shards: Parts of the depot, each for neighbouring processors that refill from it; 1 to 64.
///         More than one is worth it where many of them refill at the same time; each costs three cache
///         lines and 16 magazines.
///
/// Raises:
///     BadPool: The count, the order, huge_pages, the watermarks or the shards are none of these.
///     PoolMemory: The machine has not the memory.
///
/// Example:
///     >>> from skbpool import Pool
///     >>> with Pool(64, name="tour") as pool:
///     ...     buffer = pool.alloc()
///     ...     pool.stats().in_flight
///     1
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Pool {
    pub(crate) pool: skbpool_pool::Pool,
}

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(signature = (count, order = Whole(Ok(0)), *, name = "pool", huge_pages = "never",
                        watermarks = None, depot_shards = Whole(Ok(1))),
           text_signature = "(count, order=0, *, name='pool', huge_pages='never', watermarks=None, \
                             depot_shards=1)")]
    fn new(
        py: Python<'_>,
        count: Whole,
        order: Whole,
        name: &str,
        huge_pages: &str,
        watermarks: Option<Marks>,
        depot_shards: Whole,
    ) -> PyResult<Self> {
        let builder = builder(py, count, order, name, huge_pages, watermarks, depot_shards)?;
        // Faulting the memory in may take a while.
        Ok(Self { pool: py.detach(|| builder.build()).map_err(Error::from)? })
    }

    /// Allocate one buffer, to be written and then cut into views.
    ///
    /// Args:
    ///     timeout: Seconds to wait for a free buffer; 0 never waits, None waits as long as it
    ///         takes. Other threads run meanwhile, and Ctrl-C ends the wait.
    ///
    /// Raises:
    ///     PoolExhausted: No buffer is free, or none became free in time.
    ///     PoolClosed: The pool was closed.
    ///     ForkedPool: The pool belongs to the process that forked this one.
    ///
    /// Example:
    ///     >>> from skbpool import Pool, PoolExhausted
    ///     >>> pool = Pool(1)
    ///     >>> buffer = pool.alloc()
    ///     >>> try:
    ///     ...     pool.alloc(timeout=0.01)
    ///     ... except PoolExhausted as error:
    ///     ...     print(error.in_flight, "of", error.buffers, "in flight")
    ///     1 of 1 in flight
    #[pyo3(signature = (timeout = Timeout(Some(std::time::Duration::ZERO))),
           text_signature = "($self, timeout=0)")]
    fn alloc<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, Buffer>> {
        let mut last = match self.pool.alloc() {
            Ok(buffer) => {
                name_caller(py, &buffer);
                return Buffer::object(py, buffer);
            }
            Err(error) => error,
        };
        let may_wait = timeout.0 != Some(std::time::Duration::ZERO);
        if may_wait && matches!(last, AllocError::Exhausted { .. }) {
            let answer =
                wait_for(py, timeout.0, |deadline| match self.pool.alloc_until(deadline) {
                    Err(error @ AllocError::Exhausted { .. }) => {
                        last = error;
                        None
                    }
                    answer => Some(answer),
                })?;
            match answer {
                Some(Ok(buffer)) => {
                    name_caller(py, &buffer);
                    return Buffer::object(py, buffer);
                }
                Some(Err(error)) => last = error,
                None => {}
            }
        }
        Err(Error::from(last).into())
    }

    /// Allocate several buffers: all or none. Never waits for any.
    ///
    /// Args:
    ///     count: How many.
    ///     zero: Fill them with zeros, while other threads run; else they hold whatever they held.
    ///
    /// Raises:
    ///     PoolExhausted: Fewer are free.
    ///     PoolClosed: The pool was closed.
    ///     ForkedPool: The pool belongs to the process that forked this one.
    #[pyo3(signature = (count, *, zero = false))]
    fn alloc_bulk<'py>(
        &self,
        py: Python<'py>,
        count: Number,
        zero: bool,
    ) -> Result<Bound<'py, PyList>, Error> {
        // Asking for more than there are is answered before the first is taken.
        if count.0 > self.pool.count() && !self.pool.is_closed() {
            let stats = self.pool.stats();
            let (buffers, in_flight, cached) = (stats.buffers, stats.in_flight, stats.cached);
            return Err(AllocError::Exhausted { buffers, in_flight, cached }.into());
        }
        // On failure those that were taken go home as the list is dropped.
        let taken: Result<Vec<_>, AllocError> = (0..count.0).map(|_| self.pool.alloc()).collect();
        let mut taken = taken?;
        taken.iter().for_each(|buffer| name_caller(py, buffer));
        if zero {
            py.detach(|| {
                taken.iter_mut().try_for_each(|buffer| buffer.as_mut_slice().map(|all| all.fill(0)))
            })?;
        }
        let objects: PyResult<Vec<_>> =
            taken.into_iter().map(|buffer| Buffer::object(py, buffer)).collect();
        let objects = objects?;
        Ok(PyList::new(py, objects)?)
    }

    /// Promise `count` buffers to `what`, if all promises together still fit the pool: all or none.
    ///
    /// Drivers and consumers of a `Hub` are promised what they may have out, and are refused where that
    /// does not fit. A program that allocates from the same pool itself reserves what it may keep, so that
    /// the others are not promised it as well. A promise counts, it does not hold a buffer: allocation
    /// takes what is free, promised or not.
    ///
    /// Args:
    ///     count: Buffers it has out at worst.
    ///     what: Who, for the text of the error.
    ///
    /// Returns:
    ///     A list of `Reservation`, one for each buffer; letting go of one gives that promise back.
    ///
    /// Raises:
    ///     PoolTooSmall: They do not fit beside what others are promised.
    ///     ForkedPool: The pool belongs to the process that forked this one.
    ///
    /// Example:
    ///     >>> from skbpool import Hub, Pool, PoolTooSmall
    ///     >>> pool = Pool(64)
    ///     >>> kept = pool.reserve(16, "flow table")
    ///     >>> try:
    ///     ...     Hub(pool).attach_consumer("sink", quota=64)
    ///     ... except PoolTooSmall as error:
    ///     ...     print(error.reserved, "of", error.buffers, "promised already")
    ///     16 of 64 promised already
    ///     >>> del kept
    ///     >>> pool.stats().reserved
    ///     0
    fn reserve(&self, count: Number, what: &str) -> Result<Vec<Reservation>, Error> {
        // Refused as a whole before the first is taken, with the figures as they are.
        drop(self.pool.reserve(count.0, what)?);
        // Another thread may have come in between; those that were taken are then given back.
        (0..count.0).map(|_| Ok(Reservation { _buffer: self.pool.reserve(1, what)? })).collect()
    }

    /// Return the pool's figures as a `PoolStats`. Takes a lock; not for hot loops.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.pool.stats();
        let fields = fields!(py,
            name: stats.name,
            buffers: stats.buffers,
            buffer_bytes: stats.buffer_bytes,
            free: stats.free,
            cached: stats.cached,
            in_flight: stats.in_flight,
            reserved: stats.reserved,
            state: stats.state.name(),
            alloc_fast: stats.alloc_fast,
            alloc_slow: stats.alloc_slow,
            alloc_empty: stats.alloc_empty,
            refills: stats.refills,
            releases: stats.releases,
            violations: stats.violations,
        );
        record(py, "PoolStats", &fields)
    }

    /// Walk every free list and compare with the counters; for quiet pools.
    ///
    /// Returns:
    ///     An `Audit`.
    ///
    /// Raises:
    ///     AuditFailed: A buffer is in two places or in none.
    ///     ForkedPool: The pool belongs to the process that forked this one.
    fn audit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let audit = py.detach(|| self.pool.audit()).map_err(Error::from)?;
        let fields = fields!(py,
            free: audit.free,
            cached: audit.cached,
            in_flight: audit.in_flight,
            quarantined: audit.quarantined,
        );
        record(py, "Audit", &fields)
    }

    /// Switch the recording of allocations, for `leak_report`.
    ///
    /// A new pool records one of 4096 allocations, for which it has 64 bytes a buffer. An allocation that is
    /// recorded costs some microseconds for its Python frame, others nothing.
    ///
    /// Args:
    ///     mode: "off", "sampled" (one of `every` allocations), or "full" (all, and each release).
    ///     every: Allocations for each that is recorded; rounded up to a power of two.
    ///
    /// Raises:
    ///     ValueError: The mode is none of these, or `every` is 0.
    #[pyo3(signature = (mode, *, every = Number(4096)), text_signature = "($self, mode, *, every=4096)")]
    fn set_provenance(&self, mode: &str, every: Number) -> PyResult<()> {
        self.pool.set_provenance(provenance::mode(mode, every.0)?);
        Ok(())
    }

    /// Tell which recorded buffers are out, by where they were allocated and who has them.
    ///
    /// Runs beside everything else. A buffer that came home before the call is not reported.
    ///
    /// Args:
    ///     held_longer_than: Seconds since the allocation from which on a buffer is reported.
    ///     examples: Buffers to describe for each site and holder.
    ///
    /// Returns:
    ///     A `LeakReport`; as a string it is a table.
    ///
    /// Raises:
    ///     ValueError: The seconds are negative or no number.
    ///
    /// Example:
    ///     >>> from skbpool import Pool
    ///     >>> pool = Pool(64)
    ///     >>> pool.set_provenance("full")
    ///     >>> kept = pool.alloc()
    ///     >>> [(site.count, site.line) for site in pool.leak_report().sites]
    ///     [(1, 1)]
    #[pyo3(signature = (held_longer_than = 0.0, examples = Number(3)),
           text_signature = "($self, held_longer_than=0.0, examples=3)")]
    fn leak_report<'py>(
        &self,
        py: Python<'py>,
        held_longer_than: f64,
        examples: Number,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limit = duration("held_longer_than", held_longer_than)?;
        settle_slices(py);
        let report = py.detach(|| self.pool.leak_report(limit, examples.0 as usize));
        provenance::report(py, &report)
    }

    /// Tell what is out, by holder: why a closed pool still has its memory.
    ///
    /// Returns:
    ///     An `Outstanding`; as a string it is a table.
    fn outstanding<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        settle_slices(py);
        let outstanding = py.detach(|| self.pool.outstanding());
        provenance::outstanding(py, &outstanding)
    }

    /// Tell how the pool stands to its watermarks, as a `WatermarkStats`. A few loads.
    fn watermarks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.pool.watermarks();
        let fields = fields!(py,
            low: stats.marks.low,
            high: stats.marks.high,
            is_low: stats.is_low,
            low_crossings: stats.low,
            high_crossings: stats.high,
            exhaustions: stats.exhausted,
        );
        record(py, "WatermarkStats", &fields)
    }

    /// Return a watcher of what happens from now on, as `PoolEvents`. Look at `is_low` after making it:
    /// what began before is not told.
    ///
    /// Raises:
    ///     ForkedPool: The pool belongs to the process that forked this one.
    fn events(&self) -> Result<PoolEvents, Error> {
        PoolEvents::of(&self.pool)
    }

    /// End allocation and return how many buffers are still in flight. Views stay valid; closing
    /// twice is harmless.
    fn close(&self) -> u32 {
        self.pool.close()
    }

    /// The name it was made with.
    #[getter]
    fn name(&self) -> &str {
        self.pool.name()
    }

    /// Buffers it has.
    #[getter]
    fn count(&self) -> u32 {
        self.pool.count()
    }

    /// Its buffers have `4096 << order` bytes.
    #[getter]
    fn order(&self) -> u8 {
        self.pool.order()
    }

    /// Bytes of each buffer.
    #[getter]
    fn buffer_bytes(&self) -> u32 {
        self.pool.buffer_bytes()
    }

    /// Whether it was closed.
    #[getter]
    fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Whether fewer buffers are free than the low watermark says, and the high one was not reached
    /// since. One load; for loops that do otherwise when buffers are scarce.
    #[getter]
    fn is_low(&self) -> bool {
        self.pool.is_low()
    }

    /// Whether its memory lies on huge pages.
    #[getter]
    fn is_huge(&self) -> bool {
        self.pool.is_huge()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.pool.close();
    }

    fn __repr__(&self) -> String {
        let stats = self.pool.stats();
        format!(
            "<skbpool.Pool \"{}\": {} buffers of {} bytes, {} free, {} cached, {} in flight, {}>",
            stats.name,
            stats.buffers,
            stats.buffer_bytes,
            stats.free,
            stats.cached,
            stats.in_flight,
            stats.state.name(),
        )
    }
}

/// The address of the pool inside a `Pool`, for `skb_pool_of_object()`.
#[pyfunction]
pub(crate) fn _pool_address(pool: &Bound<'_, Pool>) -> usize {
    std::ptr::from_ref(&pool.get().pool).addr()
}
