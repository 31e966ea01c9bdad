//! How many payload bytes were copied.

use crate::record::fields;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skbpool_pool::Accounts;

/// Tell what each stage of this process copied so far: frames, and bytes of payload.
///
/// The copies of a byte on a path are the stages it goes through; ARCHITECTURE.md lists them. Each stage
/// counts once a batch; reading adds up all counters, for scrapes and tables, not for loops.
///
/// Returns:
///     `{stage: {"frames": n, "bytes": n}}` for every stage: `land` (from a message into buffers),
///     `compose` (of a program's frames into the next message), `encode` (from buffers into a message),
///     `skb_copy` (`copy`, `unshare`, `linearize`, `pull_up`), `small_frame` (into small buffers while the
///     pool is low), `copy_out` (into the memory of a consumer that holds too much).
///
/// Example:
///     >>> import skbpool
///     >>> before = skbpool.copies()["skb_copy"]["bytes"]
///     >>> skb = skbpool.Pool(2).alloc().into_skb(0, 100)
///     >>> copy = skb.copy()
///     >>> skbpool.copies()["skb_copy"]["bytes"] - before
///     100
#[pyfunction]
pub(crate) fn copies(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let stages = PyDict::new(py);
    for count in Accounts::global().copies() {
        let counted = fields!(py, frames: count.frames, bytes: count.bytes);
        stages.set_item(count.stage.name(), counted)?;
    }
    Ok(stages)
}
