//! Figures as the dataclasses of `skbpool.stats`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};

/// `skbpool.stats`: importing may run Python code, so it is done once.
static STATS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// Makes a `skbpool.stats.<class>` of keyword arguments.
pub(crate) fn record<'py>(
    py: Python<'py>,
    class: &str,
    fields: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let stats = STATS.get_or_try_init(py, || py.import("skbpool.stats").map(Bound::unbind))?;
    let class = stats.bind(py).getattr(class)?;
    class.call((), Some(fields))
}

/// A dict of `name: value` for [`record`].
macro_rules! fields {
    ($py:expr, $($name:ident: $value:expr),* $(,)?) => {{
        let fields = pyo3::types::PyDict::new($py);
        $(pyo3::types::PyDictMethods::set_item(&fields, stringify!($name), $value)?;)*
        fields
    }};
}

pub(crate) use fields;
