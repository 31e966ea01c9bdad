//! Small numbers as they lie in memory, put together to words.
//!
//! What is made by the thousand is written word by word: a machine commits one or two stores a cycle,
//! whatever their width, and the compiler does not merge those of fields.

/// Two numbers, one after the other.
#[inline(always)]
pub(crate) const fn halves(first: u32, second: u32) -> u64 {
    let (first, second) = (first as u64, second as u64);
    if cfg!(target_endian = "little") { first | second << 32 } else { first << 32 | second }
}

/// A number and two small ones, one after the other.
#[inline(always)]
pub(crate) const fn word(first: u32, [second, third]: [u16; 2]) -> u64 {
    halves(first, pair(second, third))
}

/// Four small numbers, one after the other.
#[inline(always)]
pub(crate) const fn quarters([first, second, third, fourth]: [u16; 4]) -> u64 {
    halves(pair(first, second), pair(third, fourth))
}

#[inline(always)]
const fn pair(first: u16, second: u16) -> u32 {
    let (first, second) = (first as u32, second as u32);
    if cfg!(target_endian = "little") { first | second << 16 } else { first << 16 | second }
}
