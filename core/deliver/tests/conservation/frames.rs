//! Frames of every size: views that share a buffer, buffers of two sizes, and chains of all of them. Each
//! says its number, and every byte of it can be checked.

use proptest::prelude::*;
use skbpool_deliver::Hub;
use skbpool_pool::{AllocError, LocalCache, Pool, Skb, SkbBatch};
use std::sync::Arc;

/// Bytes of a buffer of the hub's pool.
pub const BUFFER: u64 = 4096;
/// What a filled view is charged beside its data.
const TAILROOM: u32 = 16;
/// Most bytes of a view in a filled buffer: nine frames of four parts fit.
const FILLED: u32 = 96;

/// Where a view lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the buffer that all such views of a batch share, charged a part of it.
    Shared,
    /// In the buffer that is filled with all such views of a batch, charged what it takes of it.
    Filled,
    /// In a buffer of its own.
    Whole,
    /// In a buffer of its own, of a pool of larger ones.
    Wide,
}

/// A view of a frame: where it lies, and about how long it is.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub place: Place,
    pub len: u32,
}

/// A frame's views, the first of them first.
pub type Shape = Vec<Part>;

pub fn shape() -> impl Strategy<Value = Shape> {
    let place = prop_oneof![
        4 => Just(Place::Shared),
        2 => Just(Place::Filled),
        1 => Just(Place::Whole),
        1 => Just(Place::Wide),
    ];
    let len = prop_oneof![3 => 8..100u32, 1 => 8..=BUFFER as u32];
    let part = (place, len).prop_map(|(place, len)| Part { place, len });
    prop_oneof![
        3 => prop::collection::vec(part.clone(), 1),
        1 => prop::collection::vec(part, 2..5),
    ]
}

/// Which frames a sequence is of. A link that has seen a chain, and a quota of bytes, take other ways.
#[derive(Clone, Copy, Debug)]
pub enum Mix {
    /// Single views of one size a batch.
    Alike,
    /// Single views of all sizes.
    Sizes,
    /// Chains among them.
    Chains,
}

impl Mix {
    pub fn any() -> impl Strategy<Value = Mix> {
        prop_oneof![Just(Mix::Alike), Just(Mix::Sizes), Just(Mix::Chains)]
    }

    /// What a sequence of these has instead of any frames.
    pub fn only(self, mut shapes: Vec<Shape>) -> Vec<Shape> {
        for shape in &mut shapes {
            match self {
                Mix::Alike => *shape = vec![Part { place: Place::Shared, len: 8 }],
                Mix::Sizes => shape.truncate(1),
                Mix::Chains => {}
            }
        }
        shapes
    }
}

/// What a model knows of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub number: u64,
    pub len: u64,
    pub views: u64,
    pub truesize: u64,
}

/// Byte `at` of frame `number`: the number itself, then what depends on both.
fn byte(number: u64, at: usize) -> u8 {
    match number.to_le_bytes().get(at) {
        Some(byte) => *byte,
        None => (number as u8).wrapping_mul(31).wrapping_add(at as u8),
    }
}

/// The number of a frame, whose bytes are all checked.
#[track_caller]
pub fn number(skb: &Skb) -> u64 {
    let number = u64::from_le_bytes(skb.data()[..8].try_into().unwrap());
    let bytes = skb.parts().flatten();
    assert!(bytes.enumerate().all(|(at, &is)| is == byte(number, at)), "bytes of frame {number}");
    number
}

/// Makes frames.
pub struct Maker {
    pub cache: LocalCache,
    pub wide: Pool,
}

impl Maker {
    /// From the pool of `hub`, and from `wide`, which has buffers of twice the size.
    pub fn new(hub: &Arc<Hub>, wide: &Pool) -> Self {
        Self { cache: hub.pool().local_cache(), wide: wide.clone() }
    }

    /// A pool of `buffers` buffers of twice the size, in the accounts of that of `hub`.
    pub fn wide(hub: &Arc<Hub>, buffers: u32) -> Pool {
        let accounts = Arc::clone(hub.pool().accounts());
        Pool::builder(buffers).order(hub.pool().order() + 1).accounts(accounts).build().unwrap()
    }

    /// Frames of these shapes, numbered from `first` on, and what they must be.
    ///
    /// # Errors
    /// [`AllocError`]: there are not enough buffers.
    pub fn make(
        &mut self,
        first: u64,
        shapes: &[Shape],
    ) -> Result<(SkbBatch, Vec<Frame>), AllocError> {
        let parts = shapes.iter().flatten();
        let shared = parts.filter(|part| part.place == Place::Shared).count() as u32;
        let slot = BUFFER as u32 / shared.max(1);
        // Where each part lies, so that shared buffers are written before views of them are out.
        let mut common = match shared {
            0 => None,
            _ => Some(self.cache.alloc()?),
        };
        let (mut at, mut windows) = (0, Vec::new());
        for (number, shape) in (first..).zip(shapes) {
            let mut done = 0;
            for part in shape.iter() {
                let len = match part.place {
                    Place::Shared => part.len.min(slot),
                    Place::Filled => part.len.min(FILLED),
                    Place::Whole | Place::Wide => part.len,
                } as usize;
                if part.place == Place::Shared {
                    let bytes = common.as_mut().unwrap().as_mut_slice().unwrap();
                    write(&mut bytes[at..at + len], number, done);
                    at += slot as usize;
                }
                windows.push((number, *part, done, len));
                done += len;
            }
        }
        let mut common = common.map(|buffer| buffer.arm(shared).unwrap());
        let (mut at, mut filling) = (0, None);
        let mut batch = SkbBatch::new();
        let mut frames: Vec<Frame> = Vec::new();
        for (number, part, done, len) in windows {
            let (skb, truesize) = match part.place {
                Place::Shared => {
                    let armed = common.as_mut().unwrap();
                    at += 1;
                    (armed.skb((at - 1) * slot, len as u32).unwrap(), slot)
                }
                Place::Filled => {
                    if filling.is_none() {
                        filling = Some(self.cache.alloc()?.fill().unwrap());
                    }
                    let fill = filling.as_mut().unwrap();
                    write(&mut fill.tail_mut()[..len], number, done);
                    (fill.cut(0, len as u32, TAILROOM).unwrap(), len as u32 + TAILROOM)
                }
                Place::Whole | Place::Wide => {
                    let mut buffer = match part.place {
                        Place::Whole => self.cache.alloc()?,
                        _ => self.wide.alloc()?,
                    };
                    write(&mut buffer.as_mut_slice().unwrap()[..len], number, done);
                    let truesize = buffer.len() as u32;
                    (buffer.into_skb(0..len as u32).unwrap(), truesize)
                }
            };
            let (len, truesize) = (len as u64, u64::from(truesize));
            match frames.last_mut().filter(|frame| frame.number == number) {
                Some(frame) => {
                    frame.len += len;
                    frame.views += 1;
                    frame.truesize += truesize;
                    batch.as_mut_slice().last_mut().unwrap().append_frag(skb).unwrap();
                }
                None => {
                    frames.push(Frame { number, len, views: 1, truesize });
                    batch.push(skb);
                }
            }
        }
        Ok((batch, frames))
    }
}

/// Writes the bytes of frame `number` that begin with its byte `done`.
fn write(into: &mut [u8], number: u64, done: usize) {
    into.iter_mut().zip(done..).for_each(|(into, at)| *into = byte(number, at));
}
