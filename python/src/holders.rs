//! Who holds how many views.

use crate::engine::failure::IntoException;
use crate::pickling;
use crate::py_types::for_each_skb;
use crate::record::{fields, record};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use skbpool_pool::{Accounts, HolderKind};

/// Longest name of a holder, in bytes.
const MAX_NAME: usize = 63;

/// List the named holders of this process that hold views or may get some.
///
/// What Python code takes itself is held by `python`, of the kind "process": each `Buffer`, from its
/// allocation or adoption on, and each view that was made of one, until it is released or a `Hub`
/// delivers it. Slices, clones and copies are nobody's until somebody takes them (`Holder.take`).
///
/// Takes a lock and reads all counters; made for scrapes and tables, not for loops.
///
/// Returns:
///     A list of `HolderStats`.
///
/// Example:
///     >>> import skbpool
///     >>> [holder.name for holder in skbpool.holders() if holder.views]
///     []
#[pyfunction]
pub(crate) fn holders(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let records: PyResult<Vec<_>> =
        Accounts::global().snapshot().into_iter().map(|holder| holder_stats(py, &holder)).collect();
    let records = records?;
    PyList::new(py, records)
}

/// A name under which a part of a Python program holds views.
///
/// Of the kind "process"; `skbpool.holders` tells its other figures. When it is deleted the name is
/// retired; what it holds stays charged to it until it is released.
///
/// Args:
///     name: The name in figures and reports; need not be unique. 1 to 63 printable ASCII characters
///         without spaces, as the daemon has it.
///
/// Raises:
///     ValueError: The name is not made so.
///     TooManyHolders: This process has no number left for one.
///
/// Example:
///     >>> from skbpool import Holder, Pool
///     >>> pool, cache = Pool(8), Holder("cache")
///     >>> skb = pool.alloc().into_skb(0, 64)
///     >>> cache.take(skb)
///     >>> cache.views, cache.bytes
///     (1, 4096)
///     >>> skb.release(); cache.views
///     0
#[pyclass(module = "skbpool", frozen)]
pub(crate) struct Holder {
    name: String,
    holder: skbpool_pool::Holder,
}

#[pymethods]
impl Holder {
    #[new]
    fn new(py: Python<'_>, name: String) -> PyResult<Self> {
        if !(1..=MAX_NAME).contains(&name.len())
            || !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let shown: String = name.chars().take(80).collect();
            return Err(PyValueError::new_err(format!(
                "a holder's name is 1 to {MAX_NAME} printable ASCII characters without spaces, not {shown:?}"
            )));
        }
        let holder = Accounts::global()
            .holder(&name, HolderKind::Process)
            .map_err(|error| error.into_exception(py))?;
        Ok(Self { name, holder })
    }

    /// Answer for a view, or for all views of a batch, until they are released or go to another holder.
    ///
    /// Whoever answered for them so far does so no longer. Costs four atomic additions a view.
    ///
    /// Args:
    ///     views: An `Skb` or an `SkbBatch`.
    ///
    /// Raises:
    ///     TypeError: It is neither.
    ///     BufferReleased: The view was released.
    fn take(&self, views: &Bound<'_, PyAny>) -> PyResult<()> {
        for_each_skb(views, |skb| skb.hand_to_shared(&self.holder))
    }

    /// Views it holds now.
    #[getter]
    fn views(&self) -> u64 {
        self.holder.held().0
    }

    /// Truesize of those views in bytes.
    #[getter]
    fn bytes(&self) -> u64 {
        self.holder.held().1
    }

    /// The name it was given.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<()> {
        pickling::refuse(slf)
    }

    fn __repr__(&self) -> String {
        let (views, bytes) = self.holder.held();
        format!("<skbpool.Holder {:?} of {views} views, {bytes} bytes>", self.name)
    }
}

/// A `HolderStats`.
pub(crate) fn holder_stats<'py>(
    py: Python<'py>,
    holder: &skbpool_pool::HolderStats,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = fields!(py,
        name: holder.name.as_str(),
        kind: holder.kind.name(),
        views: holder.views,
        bytes: holder.bytes,
        acquired: holder.acquired,
        released: holder.released,
        retired: holder.retired,
        oldest_at_least: holder.oldest.at_least.as_secs_f64(),
        oldest_at_most: holder.oldest.at_most.as_secs_f64(),
        peak_views: holder.peak_views,
        peak_bytes: holder.peak_bytes,
    );
    record(py, "HolderStats", &fields)
}
