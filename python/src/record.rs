//! Figures as the dataclasses of `skbpool.stats`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Makes a `skbpool.stats.<class>` of keyword arguments.
pub(crate) fn record<'py>(
    py: Python<'py>,
    class: &str,
    fields: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("skbpool.stats")?.getattr(class)?.call((), Some(fields))
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
