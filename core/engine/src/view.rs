//! Frames as skbs where they lie in a message (S2, S3).

use skbpool_pool::{Buffer, SkbBatch, SkbError, clock};
use skbpool_wire::FrameBatchView;

use crate::error::MessageError;
use crate::frame::describe;

/// Why the frames of a message could not be viewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Something is wrong with the message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The buffer is not the message, or has more frames than references can be counted.
    #[error(transparent)]
    Skb(#[from] SkbError),
}

/// Appends to `into` an skb for every frame of `batch`, which was parsed from the bytes of `buffer`.
/// No byte is copied: the buffer's memory goes when the last of these skbs goes.
///
/// # Errors
/// [`ViewError`]; `into` is as it was and the buffer is released.
pub fn view_frames(
    buffer: Buffer,
    batch: &FrameBatchView<'_>,
    into: &mut SkbBatch,
) -> Result<(), ViewError> {
    let interface = batch.interface();
    if interface > u32::from(u16::MAX) {
        return Err(MessageError::Interface { interface }.into());
    }
    if batch.is_empty() {
        return Ok(());
    }
    let before = into.len();
    let birth = clock::tick();
    let views = u32::try_from(batch.len()).map_err(|_| SkbError::TooManyReferences)?;
    let mut armed = buffer.arm(views).map_err(|(error, _)| error)?;
    let mut at = batch.bytes_position() as u32;
    for frame in batch {
        let len = frame.bytes.len() as u32;
        match armed.skb(at, len) {
            Ok(mut skb) => {
                describe(&mut skb, &frame, birth);
                into.push(skb);
                at += len;
            }
            Err(error) => {
                drop(into.split_off(before));
                return Err(error.into());
            }
        }
    }
    Ok(())
}
