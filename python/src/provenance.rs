//! Leak provenance: modes by name, Python frames as sites, reports as dataclasses.

use crate::holders::holder_stats;
use crate::process;
use crate::record::{fields, record};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use skbpool_pool::{Buffer, HolderName, LeakExample, LeakReport, LeakSite, Outstanding, Pool};
use skbpool_pool::{Provenance, Site};

/// The mode of that name.
pub(crate) fn mode(name: &str, every: u32) -> PyResult<Provenance> {
    match name {
        "off" => Ok(Provenance::Off),
        "full" => Ok(Provenance::Full),
        "sampled" if every != 0 => Ok(Provenance::Sampled { every }),
        "sampled" => Err(PyValueError::new_err("every is 1 or more allocations, not 0")),
        other => {
            let message =
                format!("provenance is \"off\", \"sampled\" or \"full\", not \"{other}\"");
            Err(PyValueError::new_err(message))
        }
    }
}

/// Names the Python line that runs as the site of the allocation, and the program as whom it is for, if
/// that is recorded; else two loads.
#[inline]
pub(crate) fn name_caller(py: Python<'_>, buffer: &Buffer) {
    Pool::name_origin(buffer, process::id(), || caller(py).unwrap_or_else(|_| unknown()));
}

fn unknown() -> Site {
    Site { file: "<unknown>".to_owned(), line: 0, function: String::new() }
}

/// The line of Python that runs. Reads a frame's own attributes, which runs no Python code.
#[cold]
fn caller(py: Python<'_>) -> PyResult<Site> {
    // SAFETY: attached; the answer is borrowed, or null where no Python code runs.
    let frame = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) };
    let Some(frame) = frame else { return Ok(unknown()) };
    let code = frame.getattr("f_code")?;
    Ok(Site {
        file: code.getattr("co_filename")?.extract()?,
        line: frame.getattr("f_lineno")?.extract::<Option<u32>>()?.unwrap_or(0),
        function: code.getattr("co_qualname")?.extract()?,
    })
}

fn kind_and_name(holder: Option<&HolderName>) -> (Option<&str>, Option<&'static str>) {
    (holder.map(|holder| holder.name.as_str()), holder.map(|holder| holder.kind.name()))
}

/// A `LeakReport`.
pub(crate) fn report<'py>(py: Python<'py>, report: &LeakReport) -> PyResult<Bound<'py, PyAny>> {
    let sites: PyResult<Vec<_>> = report.sites.iter().map(|leak| site(py, leak)).collect();
    let fields = fields!(py,
        pool: report.pool.as_str(),
        held_longer_than: report.held_longer_than.as_secs_f64(),
        sites: sites?,
        text: report.to_string(),
    );
    record(py, "LeakReport", &fields)
}

fn site<'py>(py: Python<'py>, leak: &LeakSite) -> PyResult<Bound<'py, PyAny>> {
    let examples: PyResult<Vec<_>> = leak.examples.iter().map(|one| example(py, one)).collect();
    let (holder, holder_kind) = kind_and_name(leak.holder.as_ref());
    let fields = fields!(py,
        file: leak.site.file.as_str(),
        line: leak.site.line,
        function: leak.site.function.as_str(),
        holder: holder,
        holder_kind: holder_kind,
        count: leak.count,
        estimate: leak.estimate,
        bytes: leak.bytes,
        oldest: leak.oldest.as_secs_f64(),
        examples: examples?,
    );
    record(py, "LeakSite", &fields)
}

fn example<'py>(py: Python<'py>, example: &LeakExample) -> PyResult<Bound<'py, PyAny>> {
    let transitions: PyResult<Vec<_>> = example
        .transitions
        .iter()
        .map(|transition| {
            let (holder, holder_kind) = kind_and_name(transition.holder.as_ref());
            let fields = fields!(py,
                kind: transition.kind.name(),
                after: transition.after.as_secs_f64(),
                views: transition.views,
                holder: holder,
                holder_kind: holder_kind,
            );
            record(py, "Transition", &fields)
        })
        .collect();
    let fields = fields!(py,
        index: example.index,
        generation: example.generation,
        age: example.age.as_secs_f64(),
        armed: example.armed,
        references: example.references,
        transitions: transitions?,
        forgotten: example.forgotten,
    );
    record(py, "LeakExample", &fields)
}

/// An `Outstanding`.
pub(crate) fn outstanding<'py>(py: Python<'py>, out: &Outstanding) -> PyResult<Bound<'py, PyAny>> {
    let text = out.to_string();
    let holders: PyResult<Vec<_>> =
        out.holders.iter().map(|holder| holder_stats(py, holder)).collect();
    let fields = fields!(py,
        buffers: out.buffers,
        bytes: out.bytes,
        references: out.references,
        holders: holders?,
        nobody_named: out.nobody_named,
        shared_accounts: out.shared_accounts,
        text: text,
    );
    record(py, "Outstanding", &fields)
}
