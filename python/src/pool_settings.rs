//! What Python says of a pool to be made, checked.

use crate::arguments::{Whole, pool_of};
use crate::error::exception;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use skbpool_pool::{HugePages, MAX_DEPOT_SHARDS, Pool, PoolBuilder};

/// Watermarks: the lower and the higher number of free buffers.
pub(crate) struct Marks(Whole, Whole);

impl<'py> FromPyObject<'_, 'py> for Marks {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = match object.cast::<PyTuple>() {
            Ok(pair) if pair.len() == 2 => {
                return Ok(Self(pair.get_item(0)?.extract()?, pair.get_item(1)?.extract()?));
            }
            Ok(other) => format!("a tuple of {}", other.len()),
            Err(_) => object.get_type().name()?.to_string(),
        };
        Err(PyTypeError::new_err(format!(
            "watermarks are two numbers of free buffers, (low, high), such as (4, 8), or None; not {given}"
        )))
    }
}

/// A builder with these settings. Python's integers have no limit; of those that fit 32 bits the core
/// says whether they are right.
///
/// # Errors
/// `BadPool`.
pub(crate) fn builder(
    py: Python<'_>,
    count: Whole,
    order: Whole,
    name: &str,
    huge_pages: &str,
    watermarks: Option<Marks>,
    depot_shards: Whole,
) -> PyResult<PoolBuilder> {
    let refuse = |message: String| exception(py, "BadPool", &message, &[]);
    let limited = |number: Whole, what: String| {
        number.0.map_err(|number| refuse(format!("{what}, not {number}")))
    };
    let (buffers, order) = pool_of(py, count, order)?;
    let huge_pages = match huge_pages {
        "never" => HugePages::Never,
        "try" => HugePages::Try,
        "require" => HugePages::Require,
        other => {
            let text = format!("huge_pages is \"never\", \"try\" or \"require\", not \"{other}\"");
            return Err(refuse(text));
        }
    };
    let shards = limited(depot_shards, format!("a depot has 1 to {MAX_DEPOT_SHARDS} shards"))?;
    let builder = Pool::builder(buffers).order(order).name(name).huge_pages(huge_pages);
    let builder = builder.depot_shards(shards);
    let Some(Marks(low, high)) = watermarks else { return Ok(builder) };
    let [low, high] = [low, high]
        .map(|mark| limited(mark, format!("a watermark is 0 to {buffers} free buffers")));
    Ok(builder.watermarks(low?, high?))
}
