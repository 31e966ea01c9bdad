//! One producer, one consumer.

mod ring;

pub use ring::{Dequeue, Enqueue, MAX_SLOTS, Ring, RingError};
