//! Where verbs that copy get their buffers from.

use crate::buffer::Buffer;
use crate::pool::AllocError;

/// Gives buffers, never blocking: a [`crate::LocalCache`], or a [`crate::Pool`] for the casual call.
///
/// What it says of its buffers is not trusted: where one turns out too small, the verb that asked fails with
/// [`CopyError::TooLarge`](crate::CopyError) and changes nothing.
pub trait BufferSource {
    /// One buffer.
    ///
    /// # Errors
    /// [`AllocError`].
    #[track_caller]
    fn buffer(&mut self) -> Result<Buffer, AllocError>;

    /// Bytes of each buffer.
    fn buffer_bytes(&self) -> u32;

    /// Counts a frame of which so many bytes were copied into such buffers.
    fn count_copy(&mut self, bytes: u32);
}
