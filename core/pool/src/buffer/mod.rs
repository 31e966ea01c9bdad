//! The stages of a buffer before it is only views: unarmed, armed, being filled.

mod armed;
mod fill;
mod rx_frame;
mod unarmed;

pub use armed::Armed;
pub use fill::Fill;
pub use rx_frame::RxFrame;
pub use unarmed::Buffer;

use crate::header::BufferHeader;
use crate::skb::SkbError;

/// Checks that `window` lies inside the buffer and `data` inside `window`; both are `start..end` in
/// bytes from the buffer's first byte. Starts and ends are compared, never added, so nothing wraps.
fn check_window(
    header: &BufferHeader,
    window: &std::ops::Range<u32>,
    data: &std::ops::Range<u32>,
) -> Result<(), SkbError> {
    let inside = window.start <= data.start
        && data.start <= data.end
        && data.end <= window.end
        && window.end <= header.size();
    if inside {
        return Ok(());
    }
    Err(SkbError::OutOfRange { start: data.start, end: data.end, size: header.size() })
}
