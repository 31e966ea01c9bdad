//! One producer, one consumer, and both may take the oldest: for consumers that drop the oldest.

mod ring;

pub(crate) use ring::{Dequeue, Enqueue, channel};
