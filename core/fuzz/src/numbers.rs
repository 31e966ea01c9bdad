//! Choices made by the bytes of an input.

/// The bytes of an input as numbers, from the front; zeros behind the end.
pub(crate) struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// The next `count` bytes, or as many as there are.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number of bytes or a place that is mostly small, now and then at or beyond `border`, and
    /// sometimes anything.
    pub(crate) fn size(&mut self, border: u32) -> u32 {
        match self.u8() {
            kind @ 0..=199 => u32::from(kind),
            200..=219 => border.wrapping_add(u32::from(self.u8())).wrapping_sub(128),
            220..=239 => u32::from(self.u16()),
            _ => self.u32(),
        }
    }
}
