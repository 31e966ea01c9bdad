//! A fixed array of buffer indices that travels as one.

/// Most buffers in a magazine: 64 indices are four cache lines.
pub(crate) const MAGAZINE: usize = if cfg!(any(loom, shuttle)) { 2 } else { 64 };

/// `items[..len]` are free buffers; the rest means nothing.
pub(crate) struct Magazine {
    len: u32,
    items: [u32; MAGAZINE],
}

impl Magazine {
    pub(crate) const fn empty() -> Self {
        Self { len: 0, items: [0; MAGAZINE] }
    }

    pub(crate) fn items(&self) -> &[u32] {
        &self.items[..self.len as usize]
    }

    pub(crate) fn fill(&mut self, indices: &[u32]) {
        self.items[..indices.len()].copy_from_slice(indices);
        self.len = indices.len() as u32;
    }

    pub(crate) fn drain_into(&mut self, into: &mut [u32]) -> usize {
        let len = std::mem::take(&mut self.len) as usize;
        into[..len].copy_from_slice(&self.items[..len]);
        len
    }

    /// Takes the last item of a magazine that is not empty; returns it and how many are left.
    pub(crate) fn take_one(&mut self) -> (u32, u32) {
        self.len -= 1;
        (self.items[self.len as usize], self.len)
    }
}
