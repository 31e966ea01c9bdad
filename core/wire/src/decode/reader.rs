//! Protobuf's wire format, read field by field.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

use crate::WireError;

/// Deepest nesting of groups that is skipped, as in other implementations.
const MAX_GROUP_DEPTH: u32 = 100;

const WIRE_VARINT: u8 = 0;
const WIRE_FIXED64: u8 = 1;
const WIRE_BYTES: u8 = 2;
const WIRE_GROUP: u8 = 3;
const WIRE_GROUP_END: u8 = 4;
const WIRE_FIXED32: u8 = 5;

/// Part of a message, read from front to back.
///
/// Holds the whole message, so that positions stay absolute inside embedded messages.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    message: &'a [u8],
    /// Next byte to read; `at <= message.len()`.
    at: usize,
}

/// A run of bytes and where it begins in the message.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    /// The message up to the end of the run.
    message: &'a [u8],
    pub(crate) position: usize,
}

impl<'a> Span<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.message[self.position..]
    }

    /// Reads the run as an embedded message.
    pub(crate) fn reader(self) -> Reader<'a> {
        Reader { message: self.message, at: self.position }
    }
}

/// The payload of a field by its wire type.
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64,
    Bytes(Span<'a>),
    /// Skipped as a whole.
    Group,
    Fixed32(&'a [u8]),
}

/// One field of a message.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    /// Where the key begins.
    pub(crate) position: usize,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    pub(crate) fn varint(&self, field: &'static str) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.unexpected(field)),
        }
    }

    /// Reads a uint32, whose upper bits protobuf tells parsers to drop.
    pub(crate) fn varint32(&self, field: &'static str) -> Result<u32, WireError> {
        Ok(self.varint(field)? as u32)
    }

    pub(crate) fn bytes(&self, field: &'static str) -> Result<Span<'a>, WireError> {
        match self.value {
            Value::Bytes(span) => Ok(span),
            _ => Err(self.unexpected(field)),
        }
    }

    /// Reads a repeated fixed32, packed or one by one: some multiple of 4 bytes.
    pub(crate) fn fixed32s(&self, field: &'static str) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Fixed32(bytes) => Ok(bytes),
            Value::Bytes(span) if span.bytes().len() % 4 == 0 => Ok(span.bytes()),
            Value::Bytes(span) => {
                Err(WireError::Packed { field, position: span.position, size: span.bytes().len() })
            }
            _ => Err(self.unexpected(field)),
        }
    }

    fn unexpected(&self, field: &'static str) -> WireError {
        let found = match self.value {
            Value::Varint(_) => WIRE_VARINT,
            Value::Fixed64 => WIRE_FIXED64,
            Value::Bytes(_) => WIRE_BYTES,
            Value::Group => WIRE_GROUP,
            Value::Fixed32(_) => WIRE_FIXED32,
        };
        WireError::WireType { field, position: self.position, found }
    }
}

/// Field number and wire type, as a key has them.
struct Key {
    number: u32,
    wire_type: u8,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// The empty run at the next byte to read.
    pub(crate) fn here(&self) -> Span<'a> {
        Span { message: &self.message[..self.at], position: self.at }
    }

    /// Reads the next field; `None` at the end. Groups are skipped and reported as one field.
    pub(crate) fn next_field(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.at == self.message.len() {
            return Ok(None);
        }
        let position = self.at;
        let key = self.key()?;
        let value = self.value(&key, position, 0)?;
        Ok(Some(Field { number: key.number, position, value }))
    }

    fn key(&mut self) -> Result<Key, WireError> {
        let position = self.at;
        let key = self.varint(position, 0)?;
        let number = u32::try_from(key).unwrap_or(0) >> 3;
        if number == 0 {
            return Err(WireError::Key { position, key });
        }
        Ok(Key { number, wire_type: (key & 7) as u8 })
    }

    fn value(&mut self, key: &Key, position: usize, depth: u32) -> Result<Value<'a>, WireError> {
        let number = key.number;
        match key.wire_type {
            WIRE_VARINT => Ok(Value::Varint(self.varint(position, number)?)),
            WIRE_FIXED64 => self.take(8, position, number).map(|_| Value::Fixed64),
            WIRE_BYTES => {
                let size = self.varint(position, number)?;
                let start = self.at;
                self.take(size, position, number)?;
                let message = &self.message[..self.at];
                Ok(Value::Bytes(Span { message, position: start }))
            }
            WIRE_GROUP => self.skip_group(number, position, depth).map(|()| Value::Group),
            WIRE_FIXED32 => self.take(4, position, number).map(Value::Fixed32),
            WIRE_GROUP_END => Err(WireError::Group { position, number }),
            other => {
                Err(WireError::Key { position, key: u64::from(number) << 3 | u64::from(other) })
            }
        }
    }

    fn skip_group(&mut self, number: u32, position: usize, depth: u32) -> Result<(), WireError> {
        if depth == MAX_GROUP_DEPTH {
            return Err(WireError::Group { position, number });
        }
        loop {
            let inner_position = self.at;
            let key = self.key()?;
            if key.wire_type == WIRE_GROUP_END && key.number == number {
                return Ok(());
            }
            self.value(&key, inner_position, depth + 1)?;
        }
    }

    /// Reads a varint of the field `number` whose key is at `field_position`.
    #[inline]
    fn varint(&mut self, field_position: usize, number: u32) -> Result<u64, WireError> {
        let position = self.at;
        let mut value = 0u64;
        for (shift, &byte) in (0..64).step_by(7).zip(&self.message[position..]) {
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                let fits = shift < 63 || byte < 2;
                return if fits { Ok(value) } else { Err(WireError::Varint { position }) };
            }
        }
        if self.at == self.message.len() && self.at - position < 10 {
            return Err(self.truncated(field_position, number));
        }
        Err(WireError::Varint { position })
    }

    fn take(&mut self, size: u64, position: usize, number: u32) -> Result<&'a [u8], WireError> {
        let left = &self.message[self.at..];
        match usize::try_from(size).ok().and_then(|size| left.get(..size)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(self.truncated(position, number)),
        }
    }

    fn truncated(&self, position: usize, number: u32) -> WireError {
        WireError::Truncated { position, number, end: self.message.len() }
    }
}
