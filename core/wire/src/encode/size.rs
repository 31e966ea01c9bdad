//! How many bytes fields take. Every field number of `skbpool.v1` that is written is below 16, so
//! that its key is one byte.

/// Keys of the wire types that are written.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Varint(u8),
    Bytes(u8),
}

impl Key {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Key::Varint(number) => number << 3,
            Key::Bytes(number) => number << 3 | 2,
        }
    }
}

/// Bytes of `value` as a varint, 1 to 10.
#[inline]
pub(crate) const fn varint(value: u64) -> usize {
    // A varint byte holds 7 bits: (bits + 6) / 7, with zero counted as one bit.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Bytes of a scalar field; fields that are zero are left out.
#[inline]
pub(crate) const fn scalar(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint(value) }
}

/// Bytes of a string, bytes or packed field; empty ones are left out.
#[inline]
pub(crate) const fn run(size: usize) -> usize {
    if size == 0 { 0 } else { embedded(size) }
}

/// Bytes of an embedded message, which is present even if it is empty.
#[inline]
pub(crate) const fn embedded(size: usize) -> usize {
    1 + varint(size as u64) + size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_grow_every_seven_bits() {
        for bits in 0..64u32 {
            let smallest = 1u64 << bits;
            assert_eq!(varint(smallest), bits as usize / 7 + 1, "2^{bits}");
            assert_eq!(varint(smallest - 1), (bits as usize).div_ceil(7).max(1), "2^{bits} - 1");
        }
        assert_eq!(varint(u64::MAX), 10);
    }
}
