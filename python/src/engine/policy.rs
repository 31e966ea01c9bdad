//! Policies of consumers, as Python names them.

use crate::arguments::duration;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use skbpool_deliver::Policy;

/// The policy of that name.
///
/// # Errors
/// ValueError for another name, and for a setting of another policy or none of its own.
pub(super) fn policy(
    name: &str,
    copy_bytes: Option<u64>,
    block_at_most: Option<f64>,
) -> PyResult<Policy> {
    Ok(match (name, copy_bytes, block_at_most) {
        ("drop_newest", None, None) => Policy::DropNewest,
        ("drop_oldest", None, None) => Policy::DropOldest,
        ("copy_out", Some(bytes), None) => Policy::CopyOut { bytes },
        ("block", None, Some(at_most)) => {
            Policy::Block { at_most: duration("block_at_most", at_most)? }
        }
        ("drop_newest" | "drop_oldest" | "copy_out" | "block", ..) => {
            return Err(PyValueError::new_err(
                "\"copy_out\" needs copy_bytes, \"block\" needs block_at_most, and no other policy has either",
            ));
        }
        (other, ..) => {
            return Err(PyValueError::new_err(format!(
                "a policy is \"drop_newest\", \"drop_oldest\", \"copy_out\" or \"block\", not \"{other}\""
            )));
        }
    })
}
