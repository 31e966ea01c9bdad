//! What can be done to a pool and its views.

use proptest::prelude::*;

/// Numbers select among what there is, modulo how many there are.
#[derive(Clone, Debug)]
pub enum Op {
    Alloc { cached: bool },
    AllocBulk(usize),
    Adopt(usize),
    Arm { buffer: usize, windows: Vec<(u32, u32, u32)> },
    IntoSkb { buffer: usize, start: u32, len: u32 },
    Empty(usize),
    Fill(usize),
    Cut { fill: usize, headroom: u32, len: u32, tailroom: u32 },
    Finish { fill: usize, cached: bool },
    DropBuffer { buffer: usize, cached: bool },
    Clone(usize),
    Slice { view: usize, offset: u32, len: u32 },
    Push { view: usize, bytes: u32 },
    Put { view: usize, bytes: u32 },
    Pull { view: usize, bytes: u32 },
    Trim { view: usize, len: u32 },
    Reserve { view: usize, bytes: u32 },
    Copy { view: usize, cached: bool },
    Unshare { view: usize, cached: bool },
    Linearize { view: usize, cached: bool },
    PullUp { view: usize, bytes: u32, cached: bool },
    Append { view: usize, other: usize },
    Release { view: usize, cached: bool },
    ReleaseBatch(usize),
    CloneBatch(usize),
    Flush,
    Reclaim,
    Close,
}

/// Mostly small, at times at or beyond the limits.
fn bytes() -> impl Strategy<Value = u32> {
    prop_oneof![
        12 => 0..48u32,
        3 => 0..1500u32,
        1 => Just(4096u32),
        1 => 4090..4200u32,
        1 => Just(u32::MAX),
    ]
}

fn operation() -> impl Strategy<Value = Op> {
    let some = || 0..64usize;
    let flag = any::<bool>;
    prop_oneof![
        6 => flag().prop_map(|cached| Op::Alloc { cached }),
        2 => (0..12usize).prop_map(Op::AllocBulk),
        1 => (0..200usize).prop_map(Op::Adopt),
        4 => (some(), prop::collection::vec((0..64u32, 0..300u32, 0..64u32), 0..6))
            .prop_map(|(buffer, windows)| Op::Arm { buffer, windows }),
        4 => (some(), bytes(), bytes())
            .prop_map(|(buffer, start, len)| Op::IntoSkb { buffer, start, len }),
        3 => some().prop_map(Op::Empty),
        2 => some().prop_map(Op::Fill),
        4 => (some(), 0..64u32, bytes(), 0..64u32).prop_map(|(fill, headroom, len, tailroom)| {
            Op::Cut { fill, headroom, len, tailroom }
        }),
        1 => (some(), flag()).prop_map(|(fill, cached)| Op::Finish { fill, cached }),
        1 => (some(), flag()).prop_map(|(buffer, cached)| Op::DropBuffer { buffer, cached }),
        4 => some().prop_map(Op::Clone),
        3 => (some(), bytes(), bytes())
            .prop_map(|(view, offset, len)| Op::Slice { view, offset, len }),
        4 => (some(), bytes()).prop_map(|(view, bytes)| Op::Push { view, bytes }),
        4 => (some(), bytes()).prop_map(|(view, bytes)| Op::Put { view, bytes }),
        3 => (some(), bytes()).prop_map(|(view, bytes)| Op::Pull { view, bytes }),
        3 => (some(), bytes()).prop_map(|(view, len)| Op::Trim { view, len }),
        2 => (some(), bytes()).prop_map(|(view, bytes)| Op::Reserve { view, bytes }),
        2 => (some(), flag()).prop_map(|(view, cached)| Op::Copy { view, cached }),
        3 => (some(), flag()).prop_map(|(view, cached)| Op::Unshare { view, cached }),
        2 => (some(), flag()).prop_map(|(view, cached)| Op::Linearize { view, cached }),
        2 => (some(), bytes(), flag())
            .prop_map(|(view, bytes, cached)| Op::PullUp { view, bytes, cached }),
        5 => (some(), some()).prop_map(|(view, other)| Op::Append { view, other }),
        5 => (some(), flag()).prop_map(|(view, cached)| Op::Release { view, cached }),
        1 => (0..12usize).prop_map(Op::ReleaseBatch),
        1 => (0..6usize).prop_map(Op::CloneBatch),
        1 => Just(Op::Flush),
        1 => Just(Op::Reclaim),
    ]
}

/// A sequence that may close the pool on its way.
pub fn sequence() -> impl Strategy<Value = Vec<Op>> {
    let open = prop::collection::vec(operation(), 1..160);
    let rest = prop::option::weighted(0.2, prop::collection::vec(operation(), 1..30));
    (open, rest).prop_map(|(mut sequence, rest)| {
        if let Some(rest) = rest {
            sequence.push(Op::Close);
            sequence.extend(rest);
        }
        sequence
    })
}
