//! Bytes of one's own.

use super::{BufferSource, Skb, SkbError};
use crate::pool::AllocError;

/// Why a copy could not be made. The skb is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// No buffer for it.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The buffers are too small for what has to be in one piece.
    #[error("{needed} bytes have to lie in one piece, a buffer has {buffer}; use a higher order")]
    TooLarge {
        /// Bytes asked for.
        needed: u32,
        /// Bytes of a buffer.
        buffer: u32,
    },
    /// Not as many bytes there.
    #[error(transparent)]
    Skb(#[from] SkbError),
}

impl Skb {
    /// A copy in a buffer of its own, with the same headroom if it fits; a chain of copies if one
    /// buffer is too small for the data. Copies every byte of data once, which is
    /// counted as [`CopyStage::SkbCopy`](crate::CopyStage).
    ///
    /// # Errors
    /// [`CopyError::Alloc`]; [`CopyError::TooLarge`] if the source's buffers have no bytes.
    pub fn copy(&self, source: &mut impl BufferSource) -> Result<Skb, CopyError> {
        let first = piece(source, self.len().min(1))?;
        self.copy_into(first, source)
    }

    /// Copies into `copy`, a view without data of a buffer from `source`, and as many more as it takes.
    fn copy_into(&self, mut copy: Skb, source: &mut impl BufferSource) -> Result<Skb, CopyError> {
        let whole = u64::from(self.headroom()) + u64::from(self.len());
        let fits = whole <= u64::from(copy.tailroom());
        copy.reserve(if fits { self.headroom() } else { 0 })?;
        let mut parts = self.parts();
        let mut part = fill_up(&mut copy, &[], &mut parts)?;
        while !part.is_empty() {
            let mut next = piece(source, 1)?;
            part = fill_up(&mut next, part, &mut parts)?;
            copy.append_frag(next).map_err(|(error, _)| error)?;
        }
        copy.describe_as(self);
        source.count_copy(self.len());
        Ok(copy)
    }

    /// Makes this the only view of its bytes: does nothing if it is and the memory is writable,
    /// else copies it into a buffer of its own, releases the old one, and stays with its holder.
    ///
    /// # Errors
    /// [`CopyError::Alloc`]; the skb is as it was.
    pub fn unshare(&mut self, source: &mut impl BufferSource) -> Result<(), CopyError> {
        if self.parts_are_writable() {
            return Ok(());
        }
        let copy = self.copy(source)?;
        self.replace(copy);
        Ok(())
    }

    /// Brings the data of a chain into one buffer; does nothing to an skb that is none.
    ///
    /// # Errors
    /// [`CopyError::TooLarge`], [`CopyError::Alloc`]; the skb is as it was.
    pub fn linearize(&mut self, source: &mut impl BufferSource) -> Result<(), CopyError> {
        if self.fragments.is_none() {
            return Ok(());
        }
        let whole = piece(source, self.len())?;
        let copy = self.copy_into(whole, source)?;
        self.replace(copy);
        Ok(())
    }

    /// Makes sure that the first `bytes` bytes lie in one piece, as `pskb_may_pull` does. What
    /// follows stays where it is, shared.
    ///
    /// # Errors
    /// [`CopyError::Skb`] with `TooShort`, [`CopyError::TooLarge`], [`CopyError::Alloc`]; the skb is
    /// as it was.
    pub fn pull_up(&mut self, bytes: u32, source: &mut impl BufferSource) -> Result<(), CopyError> {
        if bytes <= self.len {
            return Ok(());
        }
        if bytes > self.len() {
            return Err(SkbError::TooShort { needed: bytes, have: self.len() }.into());
        }
        let mut front = piece(source, bytes)?;
        let target = front.put(bytes)?;
        let mut done = 0;
        for part in self.parts() {
            let now = part.len().min(bytes as usize - done);
            target[done..done + now].copy_from_slice(&part[..now]);
            done += now;
        }
        let mut rest = self.clone_skb()?;
        rest.drop_front(bytes);
        front.append_frag(rest).map_err(|(error, _)| error)?;
        front.describe_as(self);
        source.count_copy(bytes);
        self.replace(front);
        Ok(())
    }

    /// Becomes `other` and releases what it was; its holder is charged for what it is now.
    fn replace(&mut self, other: Skb) {
        // Dropped last: a free function may do anything, and this frame is complete by then.
        let mut old = None;
        self.recharge(|skb| {
            let old = old.insert(std::mem::replace(skb, other));
            // The frame lives on; its latency is measured when the copy is released.
            old.birth = 0;
        });
    }
}

/// A view without data of a buffer with room for `needed` bytes. Looks at what the source gives as well as
/// at what it says: anybody may write one.
#[track_caller]
fn piece(source: &mut impl BufferSource, needed: u32) -> Result<Skb, CopyError> {
    let buffer = source.buffer_bytes();
    if needed > buffer {
        return Err(CopyError::TooLarge { needed, buffer });
    }
    let piece = source.buffer()?.into_empty_skb();
    if needed > piece.tailroom() {
        return Err(CopyError::TooLarge { needed, buffer: piece.tailroom() });
    }
    Ok(piece)
}

/// Copies `part`, then the following parts, to the end of `target` until that is full. Returns what
/// is left of the part it stopped in; empty when everything is copied.
fn fill_up<'a>(
    target: &mut Skb,
    mut part: &'a [u8],
    parts: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<&'a [u8], SkbError> {
    loop {
        while part.is_empty() {
            match parts.next() {
                Some(next) => part = next,
                None => return Ok(&[]),
            }
        }
        let now = (target.tailroom() as usize).min(part.len());
        if now == 0 {
            return Ok(part);
        }
        target.put(now as u32)?.copy_from_slice(&part[..now]);
        part = &part[now..];
    }
}
