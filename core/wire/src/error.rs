//! What can be wrong with a message, and with a wish to write one.

use thiserror::Error;

use crate::MAX_FRAME;

/// A message that cannot be read.
///
/// Positions count bytes from the beginning of the message given to `parse`; indexes count frames
/// from 0. A message is refused as a whole: none of its frames has been seen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// A field says it is longer than what is left.
    #[error(
        "message ends at byte {end} in the middle of field {number} at byte {position}: \
         it was cut off, or its lengths are wrong; send it whole"
    )]
    Truncated {
        /// Where the field begins.
        position: usize,
        /// The field's number; 0 if the message ends inside the key.
        number: u32,
        /// Where the message that contains the field ends.
        end: usize,
    },
    /// A varint of more than 64 bits.
    #[error("varint at byte {position} has more than 64 bits: this is no protobuf message")]
    Varint {
        /// Where the varint begins.
        position: usize,
    },
    /// A field number outside 1 to 536,870,911, or a wire type that does not exist.
    #[error("key {key} at byte {position} names no field: this is no protobuf message")]
    Key {
        /// Where the key begins.
        position: usize,
        /// The key: field number times 8 plus wire type.
        key: u64,
    },
    /// A group that ends without having begun, or under another number, or nests too deep.
    #[error("group of field {number} at byte {position} is not closed properly or nests too deep")]
    Group {
        /// Where the key begins.
        position: usize,
        /// The field number in the key.
        number: u32,
    },
    /// A field of `skbpool.v1` in a wire type that its type cannot have.
    #[error(
        "{field} at byte {position} has wire type {found}, which its type cannot have: \
         the sender's .proto is not skbpool.v1"
    )]
    WireType {
        /// The field, as `Message.field`.
        field: &'static str,
        /// Where the field's key begins.
        position: usize,
        /// The wire type found.
        found: u8,
    },
    /// A packed column whose size is no multiple of 4.
    #[error("{field} at byte {position} has {size} bytes, no multiple of 4: send packed fixed32")]
    Packed {
        /// The field, as `Message.field`.
        field: &'static str,
        /// Where the column's bytes begin.
        position: usize,
        /// How many bytes the column has.
        size: usize,
    },
    /// A string that is not UTF-8.
    #[error("{field} at byte {position} is not UTF-8: send names in UTF-8")]
    Utf8 {
        /// The field, as `Message.field`.
        field: &'static str,
        /// Where the string's bytes begin.
        position: usize,
    },
    /// A link type that no capture format can hold.
    #[error("FrameBatch.link_type is {link_type}: send a LINKTYPE_ number of at most 65535")]
    LinkType {
        /// The number sent.
        link_type: u32,
    },
    /// A column that has neither no entry nor one for each frame.
    #[error("{field} has {entries} entries for {frames} frames: send one for each, or none")]
    ColumnCount {
        /// The field, as `Message.field`.
        field: &'static str,
        /// Entries in the column.
        entries: usize,
        /// Entries in `FrameBatch.length`.
        frames: usize,
    },
    /// A frame over the limit.
    #[error(
        "frame {index} has {length} bytes, more than the limit of {MAX_FRAME}: \
         leave it out or cut it short"
    )]
    FrameTooLarge {
        /// Which frame of the batch.
        index: usize,
        /// Its length.
        length: u32,
    },
    /// The lengths add up to more than `FrameBatch.frames` holds.
    #[error(
        "FrameBatch.length adds up to {lengths} bytes but FrameBatch.frames has {data}: \
         the batch lacks data; send every byte of every frame"
    )]
    LengthsExceedData {
        /// Sum of all lengths.
        lengths: u64,
        /// Bytes in `FrameBatch.frames`.
        data: u64,
    },
    /// `FrameBatch.frames` holds more than the lengths add up to.
    #[error(
        "FrameBatch.frames has {data} bytes but FrameBatch.length adds up to {lengths}: \
         the batch has data of no frame; send a length for every frame"
    )]
    DataExceedsLengths {
        /// Sum of all lengths.
        lengths: u64,
        /// Bytes in `FrameBatch.frames`.
        data: u64,
    },
    /// A time beyond what 64 bits of nanoseconds hold.
    #[error(
        "frame {index} arrives {offset} ns after base_time_ns {base}, beyond 64 bits: \
         send nanoseconds since the Unix epoch"
    )]
    TimeOverflow {
        /// Which frame of the batch.
        index: usize,
        /// `FrameBatch.base_time_ns`.
        base: u64,
        /// Its entry in `FrameBatch.time_offset_ns`.
        offset: u32,
    },
}

/// A message that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A frame over the limit.
    #[error(
        "frame has {length} bytes, more than the limit of {MAX_FRAME}: drop it or cut it short"
    )]
    FrameTooLarge {
        /// The frame's length.
        length: u32,
    },
    /// Nothing else is in the message, and yet it does not fit.
    #[error(
        "message of {encoded} bytes exceeds the limit of {limit}: \
         raise max_message_bytes or leave out the frame"
    )]
    MessageTooLarge {
        /// Bytes the message would have, with what is reserved beside the batch.
        encoded: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// The memory to write into is not of the message's size.
    #[error("message has {encoded} bytes but {given} were given: give exactly encoded_len()")]
    BufferSize {
        /// Bytes of the message.
        encoded: usize,
        /// Bytes of the memory.
        given: usize,
    },
    /// The frames written are not those that were pushed.
    #[error(
        "frame {index} is not the one that was pushed, or put other bytes than its len(): \
         write the very frames that were pushed, in their order"
    )]
    FramesChanged {
        /// The first frame that differs; the number of frames if one is missing or too many.
        index: usize,
    },
}
