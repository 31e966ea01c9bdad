//! The verbs of sk_buff that move the borders of the data.

use super::{Skb, SkbError};

impl Skb {
    /// Bytes between the window's start and the data.
    #[inline(always)]
    pub fn headroom(&self) -> u32 {
        self.offset - self.head
    }

    /// Bytes between the data and the window's end; 0 for a chain, as in the kernel.
    #[inline(always)]
    pub fn tailroom(&self) -> u32 {
        if self.fragments.is_some() { 0 } else { self.end - self.offset - self.len }
    }

    /// Whether the buffer has other references.
    #[inline(always)]
    pub fn is_shared(&self) -> bool {
        self.header().references() != 1
    }

    /// Whether `data_mut`, `push` and `put` may write: the only view of writable memory.
    #[inline(always)]
    pub fn is_writable(&self) -> bool {
        self.check_writable().is_ok()
    }

    #[inline(always)]
    fn check_writable(&self) -> Result<(), SkbError> {
        if !self.header().is_memory_writable() {
            return Err(SkbError::ReadOnly);
        }
        // The count cannot rise behind our back: references are made only from references, ours is
        // the only one, and an skb is not Sync.
        if self.is_shared() { Err(SkbError::Shared) } else { Ok(()) }
    }

    /// # Safety
    /// - `check_writable` has passed, and `from..from + len` lies inside the window.
    #[inline(always)]
    unsafe fn bytes_mut(&mut self, from: u32, len: u32) -> &mut [u8] {
        // SAFETY: in bounds by the caller; exclusive, since this is the only reference.
        unsafe {
            let first = self.header().data().as_ptr().add(from as usize);
            std::slice::from_raw_parts_mut(first, len as usize)
        }
    }

    /// The data of this view's own buffer, to be written.
    ///
    /// # Errors
    /// [`SkbError::Shared`], [`SkbError::ReadOnly`].
    #[inline]
    pub fn data_mut(&mut self) -> Result<&mut [u8], SkbError> {
        self.check_writable()?;
        // SAFETY: checked, and the data lies inside the window.
        Ok(unsafe { self.bytes_mut(self.offset, self.len) })
    }

    /// Grows the data by `bytes` at its front and returns them, to be written.
    ///
    /// # Errors
    /// [`SkbError::NoHeadroom`] (S8), [`SkbError::Shared`], [`SkbError::ReadOnly`]. Nothing outside
    /// the window is ever touched.
    #[inline]
    pub fn push(&mut self, bytes: u32) -> Result<&mut [u8], SkbError> {
        let have = self.headroom();
        if bytes > have {
            return Err(SkbError::NoHeadroom { needed: bytes, have });
        }
        self.check_writable()?;
        self.offset -= bytes;
        self.len += bytes;
        // SAFETY: checked, and the new bytes were headroom.
        Ok(unsafe { self.bytes_mut(self.offset, bytes) })
    }

    /// Grows the data by `bytes` at its end and returns them, to be written.
    ///
    /// # Errors
    /// [`SkbError::NoTailroom`], [`SkbError::Shared`], [`SkbError::ReadOnly`],
    /// [`SkbError::Nonlinear`] for a chain.
    #[inline]
    pub fn put(&mut self, bytes: u32) -> Result<&mut [u8], SkbError> {
        if self.fragments.is_some() {
            return Err(SkbError::Nonlinear);
        }
        let have = self.tailroom();
        if bytes > have {
            return Err(SkbError::NoTailroom { needed: bytes, have });
        }
        self.check_writable()?;
        let from = self.offset + self.len;
        self.len += bytes;
        // SAFETY: checked, and the new bytes were tailroom.
        Ok(unsafe { self.bytes_mut(from, bytes) })
    }

    /// Takes `bytes` away from the front of the data; they become headroom.
    ///
    /// # Errors
    /// [`SkbError::TooShort`] if this view's own buffer has fewer; `pull_up` first for a chain.
    #[inline]
    pub fn pull(&mut self, bytes: u32) -> Result<(), SkbError> {
        if bytes > self.len {
            return Err(SkbError::TooShort { needed: bytes, have: self.len });
        }
        self.offset += bytes;
        self.len -= bytes;
        Ok(())
    }

    /// Cuts the data off after `len` bytes. A chain loses the fragments that lie behind.
    ///
    /// # Errors
    /// [`SkbError::TooShort`] if there are fewer.
    #[inline]
    pub fn trim(&mut self, len: u32) -> Result<(), SkbError> {
        if len > self.len() {
            return Err(SkbError::TooShort { needed: len, have: self.len() });
        }
        if self.fragments.is_some() {
            return self.trim_chain(len);
        }
        self.len = len;
        Ok(())
    }

    /// Moves the place where data will begin by `bytes`, making headroom in an empty skb.
    ///
    /// # Errors
    /// [`SkbError::NotEmpty`], [`SkbError::NoTailroom`].
    #[inline]
    pub fn reserve(&mut self, bytes: u32) -> Result<(), SkbError> {
        if self.len != 0 || self.fragments.is_some() {
            return Err(SkbError::NotEmpty);
        }
        let have = self.tailroom();
        if bytes > have {
            return Err(SkbError::NoTailroom { needed: bytes, have });
        }
        self.offset += bytes;
        Ok(())
    }
}
