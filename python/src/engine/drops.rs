//! Drop counts as `{reason: {"frames": n, "bytes": n}}`.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use skbpool_pool::{DropCount, DropReason};

/// Only reasons that occurred; what is named twice is added up.
pub(super) fn drops_dict<'py>(
    py: Python<'py>,
    drops: &[DropCount],
) -> PyResult<Bound<'py, PyDict>> {
    let mut named = Vec::new();
    for reason in DropReason::ALL {
        let of_reason = drops.iter().filter(|drop| drop.reason == reason);
        let sum = of_reason.fold((0, 0), |sum, drop| (sum.0 + drop.frames, sum.1 + drop.bytes));
        if sum != (0, 0) {
            named.push((reason.name().to_owned(), sum));
        }
    }
    dict_of(py, named)
}

/// As [`drops_dict`], for numbers from the wire; one that is not known keeps its number as a name.
pub(super) fn wire_drops_dict<'py>(
    py: Python<'py>,
    drops: &[skbpool_wire::DropCount],
) -> PyResult<Bound<'py, PyDict>> {
    let mut named: Vec<(String, (u64, u64))> = Vec::new();
    for drop in drops {
        let known = DropReason::ALL.into_iter().find(|reason| reason.number() == drop.reason);
        let name = known
            .map_or_else(|| format!("reason_{}", drop.reason), |reason| reason.name().to_owned());
        match named.iter_mut().find(|(other, _)| *other == name) {
            // Counts come from outside.
            Some((_, sum)) => {
                sum.0 = sum.0.saturating_add(drop.frames);
                sum.1 = sum.1.saturating_add(drop.bytes);
            }
            None => named.push((name, (drop.frames, drop.bytes))),
        }
    }
    dict_of(py, named)
}

fn dict_of<'py>(py: Python<'py>, named: Vec<(String, (u64, u64))>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, (frames, bytes)) in named {
        let counts = PyDict::new(py);
        counts.set_item("frames", frames)?;
        counts.set_item("bytes", bytes)?;
        dict.set_item(name, counts)?;
    }
    Ok(dict)
}
