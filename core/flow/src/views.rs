//! Flows of skbs.

use crate::{FRONT, Flow, dissect_front};
use skbpool_pool::Skb;

/// The flow of an skb, as [`dissect`](crate::dissect) by its link type. The headers of a chain may lie
/// in any of its parts: those of one whose first part is short are copied, at most [`FRONT`] bytes.
#[inline]
pub fn flow_of(skb: &Skb) -> Option<Flow> {
    let data = skb.data();
    if data.len() < FRONT && skb.is_chain() {
        return flow_of_chain(skb);
    }
    dissect_front(skb.link_type, &data[..data.len().min(FRONT)], skb.len() as usize)
}

#[cold]
fn flow_of_chain(skb: &Skb) -> Option<Flow> {
    let mut front = [0; FRONT];
    let mut filled = 0;
    for part in skb.parts() {
        let bytes = part.len().min(FRONT - filled);
        front[filled..filled + bytes].copy_from_slice(&part[..bytes]);
        filled += bytes;
    }
    dissect_front(skb.link_type, &front[..filled], skb.len() as usize)
}

/// The flows of skbs in their order, [`Flow::NONE`] for those without.
pub fn flows_of(skbs: &[Skb]) -> impl ExactSizeIterator<Item = Flow> {
    skbs.iter().map(|skb| flow_of(skb).unwrap_or(Flow::NONE))
}

/// Gives each skb whose hash is not computed that of its flow, if it has one; returns how many got
/// theirs.
pub fn set_hashes(skbs: &mut [Skb]) -> usize {
    let mut set = 0;
    for skb in skbs.iter_mut().filter(|skb| skb.hash == 0) {
        if let Some(flow) = flow_of(skb) {
            skb.hash = flow.hash;
            set += 1;
        }
    }
    set
}
