//! What a lease table is to do, written down as simply as can be.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use skbpool_engine::LeaseError;

/// Handles that a session may hold.
pub const LIMIT: u32 = 8;

/// A verb with its arguments.
#[derive(Clone, Debug)]
pub enum Op {
    Allocate(u32),
    Write(Vec<(u64, u32, Vec<u8>)>),
    MakeSkb(Vec<(u64, u32, u32)>),
    Clone(Vec<u64>),
    Slice(Vec<(u64, u32, u32)>),
    Take(Vec<u64>),
    Release(Vec<u64>),
}

/// What chance chose: a verb, and for each of its items a handle and a range.
pub type Choice = (u8, Vec<(u16, u32, u32)>);

pub fn ops() -> impl Strategy<Value = Vec<Choice>> {
    let offset = prop_oneof![4 => 0u32..64, 1 => 4000u32..=4096, 1 => any::<u32>()];
    let length = prop_oneof![6 => 0u32..32, 1 => 4000u32..=4097, 1 => any::<u32>()];
    let item = (any::<u16>(), offset, length);
    prop::collection::vec((0u8..12, prop::collection::vec(item, 0..4)), 1..60)
}

#[derive(Clone, Debug)]
struct Held {
    buffer: usize,
    /// Where its bytes lie; none for the buffer itself.
    view: Option<(u32, u32)>,
    charge: u64,
}

/// Why a verb fails, as far as the model foresees it.
type Refused = &'static str;

pub struct Model {
    size: u32,
    count: u32,
    memory: Vec<Vec<u8>>,
    held: BTreeMap<u64, Held>,
    used_up: Vec<u64>,
    foreign: u64,
}

impl Model {
    pub fn new(count: u32, size: u32, foreign: u64) -> Self {
        let (memory, held, used_up) = Default::default();
        Self { size, count, memory, held, used_up, foreign }
    }

    pub fn holds(&self) -> (u32, u64) {
        (self.held.len() as u32, self.held.values().map(|held| held.charge).sum())
    }

    /// Buffers that are out.
    pub fn buffers(&self) -> u32 {
        let distinct: BTreeSet<_> = self.held.values().map(|held| held.buffer).collect();
        distinct.len() as u32
    }

    /// Every handle and its bytes.
    pub fn all(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.held.iter().map(|(&handle, held)| {
            let (offset, length) = held.view.unwrap_or((0, self.size));
            (handle, self.memory[held.buffer][offset as usize..][..length as usize].to_vec())
        })
    }

    /// Makes a choice a verb: most handles are good ones, some used up, made up, or another's.
    pub fn op(&self, (verb, items): &Choice) -> Op {
        let pick = |number: u16, skb: bool| {
            let wanted = |held: &&Held| held.view.is_some() == skb;
            let fitting: Vec<u64> = self
                .held
                .iter()
                .filter(|(_, held)| wanted(held))
                .map(|(&handle, _)| handle)
                .collect();
            let any: Vec<u64> = self.held.keys().copied().collect();
            let from = match number % 16 {
                0 => &self.used_up,
                1 => &vec![self.foreign],
                2 => &vec![u64::from(number) << 32, u64::MAX],
                3 => &any,
                _ => &fitting,
            };
            let index = usize::from(number / 16) % from.len().max(1);
            from.get(index).copied().unwrap_or(u64::from(number))
        };
        let handles = |skb| items.iter().map(|&(number, ..)| pick(number, skb)).collect();
        let ranges = |skb| {
            let range = |&(number, offset, length)| (pick(number, skb), offset, length);
            items.iter().map(range).collect()
        };
        match verb {
            0..=2 => Op::Allocate(items.len() as u32),
            3 => Op::Write(
                items
                    .iter()
                    .map(|&(number, offset, length)| {
                        let data = vec![number as u8; (length % 5000) as usize];
                        (pick(number, false), offset, data)
                    })
                    .collect(),
            ),
            4..=5 => Op::MakeSkb(ranges(false)),
            6..=7 => Op::Clone(handles(true)),
            8 => Op::Slice(ranges(true)),
            9 => Op::Take(handles(true)),
            _ => Op::Release(handles(items.len() % 2 == 0)),
        }
    }

    /// Does `op` here, and compares with what the table answered.
    pub fn check(
        &mut self,
        op: &Op,
        answer: &Result<Vec<u64>, LeaseError>,
    ) -> Result<(), TestCaseError> {
        match (self.refusal(op), answer) {
            (None, Ok(handles)) => self.apply(op, handles),
            (Some(expected), Err(error)) => {
                let kind = format!("{error:?}");
                prop_assert!(kind.starts_with(expected), "{op:?}: {kind}, not {expected}");
                Ok(())
            }
            (expected, answer) => {
                Err(TestCaseError::fail(format!("{op:?}: {answer:?}, not {expected:?}")))
            }
        }
    }

    /// The first thing that is wrong with `op`.
    fn refusal(&self, op: &Op) -> Option<Refused> {
        match op {
            Op::Allocate(count) => self
                .no_room(*count as usize, 0)
                .or_else(|| (self.buffers() + count > self.count).then_some("Reserve(TooSmall")),
            Op::Write(writes) => writes.iter().find_map(|(handle, offset, data)| {
                self.no(*handle, false)
                    .or_else(|| self.outside(*handle, *offset, data.len() as u64))
            }),
            Op::MakeSkb(views) => {
                let wrong = views.iter().find_map(|&(handle, offset, length)| {
                    self.no(handle, false).or_else(|| self.outside(handle, offset, length.into()))
                });
                let buffers: BTreeSet<_> = views.iter().map(|&(handle, ..)| handle).collect();
                let overlap = views.iter().enumerate().any(|(at, one)| {
                    views[..at].iter().any(|two| one.0 == two.0 && overlap(*one, *two))
                });
                wrong
                    .or_else(|| overlap.then_some("Overlap"))
                    .or_else(|| self.no_room(views.len(), buffers.len()))
            }
            Op::Clone(handles) => self
                .no_room(handles.len(), 0)
                .or_else(|| handles.iter().find_map(|&handle| self.no(handle, true))),
            Op::Slice(slices) => self.no_room(slices.len(), 0).or_else(|| {
                slices.iter().find_map(|&(handle, offset, length)| {
                    self.no(handle, true).or_else(|| self.outside(handle, offset, length.into()))
                })
            }),
            Op::Take(handles) => {
                twice(handles).or_else(|| handles.iter().find_map(|&handle| self.no(handle, true)))
            }
            Op::Release(handles) => twice(handles).or_else(|| {
                handles
                    .iter()
                    .find_map(|handle| (!self.held.contains_key(handle)).then_some("Unknown"))
            }),
        }
    }

    fn no(&self, handle: u64, skb: bool) -> Option<Refused> {
        match self.held.get(&handle) {
            None => Some("Unknown"),
            Some(held) if held.view.is_some() == skb => None,
            Some(_) if skb => Some("NeedsSkb"),
            Some(_) => Some("NeedsBuffer"),
        }
    }

    fn outside(&self, handle: u64, offset: u32, length: u64) -> Option<Refused> {
        let size = self.held[&handle].view.map_or(self.size, |(_, length)| length);
        (u64::from(offset) + length > u64::from(size)).then_some("OutOfRange")
    }

    fn no_room(&self, more: usize, fewer: usize) -> Option<Refused> {
        (self.held.len() + more > LIMIT as usize + fewer).then_some("TooManyHandles")
    }

    fn apply(&mut self, op: &Op, handles: &[u64]) -> Result<(), TestCaseError> {
        let mut made: Vec<Held> = Vec::new();
        match op {
            Op::Allocate(count) => {
                for _ in 0..*count {
                    self.memory.push(vec![0; self.size as usize]);
                    let buffer = self.memory.len() - 1;
                    made.push(Held { buffer, view: None, charge: self.size.into() });
                }
            }
            Op::Write(writes) => {
                for (handle, offset, data) in writes {
                    let memory = &mut self.memory[self.held[handle].buffer];
                    memory[*offset as usize..][..data.len()].copy_from_slice(data);
                }
            }
            Op::MakeSkb(views) => {
                for &(handle, offset, length) in views {
                    let armed = views.iter().filter(|view| view.0 == handle).count() as u32;
                    let (buffer, charge) = (self.held[&handle].buffer, self.size / armed);
                    made.push(Held { buffer, view: Some((offset, length)), charge: charge.into() });
                }
                views.iter().for_each(|&(handle, ..)| self.use_up(handle));
            }
            Op::Clone(of) => made.extend(of.iter().map(|handle| self.held[handle].clone())),
            Op::Slice(slices) => {
                for &(handle, offset, length) in slices {
                    let of = self.held[&handle].clone();
                    let begin = of.view.map_or(0, |(offset, _)| offset) + offset;
                    made.push(Held { view: Some((begin, length)), ..of });
                }
            }
            Op::Take(gone) | Op::Release(gone) => {
                gone.iter().for_each(|&handle| self.use_up(handle))
            }
        }
        prop_assert_eq!(handles.len(), made.len());
        for (&handle, held) in handles.iter().zip(made) {
            prop_assert!(!self.used_up.contains(&handle), "{} is given again", handle);
            prop_assert!(self.held.insert(handle, held).is_none(), "{} is given twice", handle);
        }
        Ok(())
    }

    fn use_up(&mut self, handle: u64) {
        if self.held.remove(&handle).is_some() {
            self.used_up.push(handle);
        }
    }
}

fn twice(handles: &[u64]) -> Option<Refused> {
    let distinct: BTreeSet<_> = handles.iter().collect();
    (distinct.len() < handles.len()).then_some("Twice")
}

/// As views are cut, from the front to the back.
fn overlap(one: (u64, u32, u32), two: (u64, u32, u32)) -> bool {
    let (one, two) = ((one.1, one.2), (two.1, two.2));
    let (low, high) = if one <= two { (one, two) } else { (two, one) };
    u64::from(high.0) < u64::from(low.0) + u64::from(low.1)
}
