//! What the model knows of a view.

use skbpool_pool::{CopyError, SkbError};

/// Buffers of the pool.
pub const BUFFERS: u32 = 8;
/// Bytes of each.
pub const SIZE: u32 = 4096;

/// Where a part lies: a buffer of the pool below [`BUFFERS`], adopted memory from there on.
pub type BufferId = u32;

#[derive(Clone, Debug)]
pub struct Part {
    pub buffer: BufferId,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct View {
    /// The first part is there always; those behind it are never empty.
    pub parts: Vec<Part>,
    pub headroom: u32,
    /// Room behind the first part's data.
    pub room_behind: u32,
}

impl View {
    pub fn len(&self) -> u32 {
        self.parts.iter().map(|part| part.bytes.len() as u32).sum()
    }

    pub fn linear(&self) -> u32 {
        self.parts[0].bytes.len() as u32
    }

    pub fn is_chain(&self) -> bool {
        self.parts.len() > 1
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| &part.bytes).copied().collect()
    }

    pub fn tailroom(&self) -> u32 {
        if self.is_chain() { 0 } else { self.room_behind }
    }

    pub fn pull(&mut self, bytes: u32) -> Result<(), SkbError> {
        if bytes > self.linear() {
            return Err(SkbError::TooShort { needed: bytes, have: self.linear() });
        }
        self.parts[0].bytes.drain(..bytes as usize);
        self.headroom += bytes;
        Ok(())
    }

    pub fn trim(&mut self, len: u32) -> Result<(), SkbError> {
        if len > self.len() {
            return Err(SkbError::TooShort { needed: len, have: self.len() });
        }
        let before = self.linear();
        let mut left = len as usize;
        for part in &mut self.parts {
            part.bytes.truncate(left);
            left -= part.bytes.len();
        }
        self.room_behind += before - self.linear();
        self.drop_empty_parts();
        Ok(())
    }

    pub fn reserve(&mut self, bytes: u32) -> Result<(), SkbError> {
        if self.len() != 0 {
            return Err(SkbError::NotEmpty);
        }
        if bytes > self.room_behind {
            return Err(SkbError::NoTailroom { needed: bytes, have: self.room_behind });
        }
        self.headroom += bytes;
        self.room_behind -= bytes;
        Ok(())
    }

    pub fn slice(&self, offset: u32, len: u32) -> Result<View, SkbError> {
        let end = u64::from(offset) + u64::from(len);
        if end > u64::from(self.len()) {
            let end = end.min(u64::from(u32::MAX)) as u32;
            return Err(SkbError::OutOfRange { start: offset, end, size: self.len() });
        }
        if end > u64::from(self.linear()) {
            return Err(SkbError::Nonlinear);
        }
        let bytes = self.parts[0].bytes[offset as usize..end as usize].to_vec();
        Ok(View {
            parts: vec![Part { buffer: self.parts[0].buffer, bytes }],
            headroom: 0,
            room_behind: 0,
        })
    }

    pub fn append(&mut self, other: View) {
        self.parts.extend(other.parts);
        self.drop_empty_parts();
    }

    fn drop_empty_parts(&mut self) {
        let mut first = true;
        self.parts.retain(|part| std::mem::take(&mut first) || !part.bytes.is_empty());
    }

    /// The headroom of a copy, and how long its parts are.
    pub fn copied_parts(&self) -> (u32, Vec<u32>) {
        let fits = self.len() <= SIZE.saturating_sub(self.headroom);
        let headroom = if fits { self.headroom } else { 0 };
        let mut lengths = vec![self.len().min(SIZE - headroom)];
        let mut left = self.len() - lengths[0];
        while left != 0 {
            lengths.push(left.min(SIZE));
            left -= left.min(SIZE);
        }
        (headroom, lengths)
    }

    /// This view after `pull_up(bytes)` has copied its front into `buffer`.
    pub fn pulled_up(&self, bytes: u32, buffer: BufferId) -> View {
        let front = self.bytes()[..bytes as usize].to_vec();
        let mut parts = vec![Part { buffer, bytes: front }];
        let mut gone = bytes as usize;
        for part in &self.parts {
            let now = gone.min(part.bytes.len());
            gone -= now;
            parts.push(Part { buffer: part.buffer, bytes: part.bytes[now..].to_vec() });
        }
        let mut view = View { parts, headroom: 0, room_behind: SIZE - bytes };
        view.drop_empty_parts();
        view
    }

    /// Why `pull_up(bytes)` is refused before it looks for a buffer.
    pub fn may_pull_up(&self, bytes: u32) -> Result<(), CopyError> {
        if bytes > self.len() {
            return Err(SkbError::TooShort { needed: bytes, have: self.len() }.into());
        }
        if bytes > SIZE {
            return Err(CopyError::TooLarge { needed: bytes, buffer: SIZE });
        }
        Ok(())
    }
}
