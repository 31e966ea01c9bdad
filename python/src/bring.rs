//! Python memory as buffers.

use crate::arguments::callable;
use crate::buffer::Buffer;
use crate::error::{Error, exception};
use crate::python_owner::Brought;
use crate::reaper;
use crate::record::{fields, record};
use pyo3::ffi;
use pyo3::prelude::*;
use skbpool_pool::{Free, HEADER_BYTES};

/// Make writable memory of one's own a buffer, with its header at the head of it.
///
/// The header takes the first 64 bytes that lie on a cache line: the head of an mmap; up to 63 bytes
/// later in a bytearray. The bytes after it are the buffer. From now on the memory belongs to the
/// buffer: writing to its head through `memory` itself breaks the reference count and with it the
/// process. About garbage collection the same goes as for `adopt`.
///
/// Args:
///     memory: A writable, contiguous object: bytearray, mmap, a slice of a memoryview. It stays
///         exported, so it cannot be resized or closed, until the last view is gone.
///     free: Called with `memory`, once, when the last view is gone, on whichever Python thread is
///         at hand; what it raises goes to `sys.unraisablehook`. Once the interpreter has begun to exit
///         it is not called any more, and a daemon thread that is inside it stays there.
///     order: Kept in the header, for the owner of the memory.
///
/// Raises:
///     BadMemory: The memory is too small or too large. It is as it was.
///
/// Example:
///     >>> from skbpool import init_zero_copy_buffer
///     >>> buffer = init_zero_copy_buffer(bytearray(4096), free=lambda memory: print(len(memory)))
///     >>> memoryview(buffer)[:3] = b"abc"
///     >>> with buffer.into_skb(0, 3) as skb:
///     ...     bytes(skb)
///     b'abc'
///     4096
#[pyfunction]
#[pyo3(signature = (memory, free = None, order = 0), text_signature = "(memory, free=None, order=0)")]
pub(crate) fn init_zero_copy_buffer<'py>(
    memory: &Bound<'py, PyAny>,
    free: Option<Bound<'py, PyAny>>,
    order: u8,
) -> PyResult<Bound<'py, Buffer>> {
    let free = callable(free, "free")?;
    reaper::start(memory.py())?;
    let owner = Brought::new(memory, free, ffi::PyBUF_WRITABLE, None)?;
    let (base, size) = owner.memory();
    let skip = base.addr().get().wrapping_neg() % HEADER_BYTES;
    if size < skip + HEADER_BYTES {
        let needed = skip + HEADER_BYTES;
        let message = format!(
            "{size} bytes are too few: the header takes {needed} of them, the way to the next \
             multiple of {HEADER_BYTES} included"
        );
        return Err(exception(memory.py(), "BadMemory", &message, &[]));
    }
    // SAFETY: inside the memory, as just checked.
    let head = unsafe { base.add(skip) };
    // SAFETY: the memory is writable and stays exported until the owner is let go of; that nobody
    // else writes to it is what the documentation asks for.
    let made = unsafe {
        skbpool_pool::init_zero_copy_buffer(
            head,
            size - skip,
            order,
            Free::nothing(),
            owner.share(),
        )
    };
    match made {
        Ok(buffer) => Buffer::brought(memory.py(), buffer, owner.given_away()),
        Err(error) => Err(Error::from(error).into()),
    }
}

/// Make a bytes-like object a read-only buffer, where it lies.
///
/// The object is kept, exported, until the last view of it is gone, whatever thread lets go last.
/// Nobody should write to it meanwhile. Costs two small allocations; no byte is copied.
///
/// Python's garbage collector looks through a buffer that nobody has a view or a memoryview of: one
/// that its own object or free function refers to is collected, and `free` called. It does not look
/// through views, which share one count that anybody may hold a part of: where the object or `free`
/// refers to a view of itself, release the view (`with`, `release`), or it stays for ever. So does a view
/// to which a view of a memoryview of itself was appended, `skb.append_frag(adopt(memoryview(skb))...)`:
/// it is Exported to whoever would release it, until `skb.trim` cuts that fragment off.
///
/// Args:
///     obj: A contiguous bytes-like object.
///     free: Called with `obj`, once, when the last view is gone, on whichever Python thread is at
///         hand; what it raises goes to `sys.unraisablehook`. Once the interpreter has begun to exit
///         it is not called any more, and a daemon thread that is inside it stays there.
///
/// Raises:
///     BadMemory: The object is too large.
///
/// Example:
///     >>> from skbpool import adopt
///     >>> with adopt(b"two frames").into_skb() as skb:
///     ...     first, second = skb[:3], skb[4:]
///     >>> bytes(second), second.is_writable
///     (b'frames', False)
#[pyfunction]
#[pyo3(signature = (obj, free = None))]
pub(crate) fn adopt<'py>(
    obj: &Bound<'py, PyAny>,
    free: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Buffer>> {
    let free = callable(free, "free")?;
    reaper::start(obj.py())?;
    let owner = Brought::new(obj, free, ffi::PyBUF_SIMPLE, None)?;
    let (base, size) = owner.memory();
    // SAFETY: the memory stays exported until the owner is let go of.
    let made =
        unsafe { skbpool_pool::adopt_raw(base, size, false, Free::nothing(), owner.share()) };
    match made {
        Ok(buffer) => Buffer::brought(obj.py(), buffer, owner.given_away()),
        Err(error) => Err(Error::from(error).into()),
    }
}

/// Return what became of Python memory that was made buffers, as a `BroughtStats`.
///
/// Example:
///     >>> import skbpool
///     >>> before = skbpool.brought()
///     >>> skbpool.adopt(b"frame").release()
///     >>> skbpool.brought().returned - before.returned
///     1
#[pyfunction]
pub(crate) fn brought(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let counts = reaper::counts();
    let fields = fields!(py,
        brought: counts.brought,
        returned: counts.returned,
        waiting: counts.waiting,
        leaked: counts.leaked,
    );
    record(py, "BroughtStats", &fields)
}
