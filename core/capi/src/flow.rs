//! Flows for C.

use crate::raw::RawSkb;
use skbpool_flow::{Flow, flow_of, flows_of, set_hashes};
use skbpool_pool::Skb;
use std::ffi::c_int;

pub(crate) unsafe extern "C" fn skb_get_flow(skb: *const RawSkb, out: *mut Flow) -> c_int {
    // SAFETY: the caller gives an skb or none.
    let flow = unsafe { (*skb).get() }.ok().and_then(flow_of);
    // SAFETY: the caller gives a place for the flow.
    unsafe { out.write(flow.unwrap_or(Flow::NONE)) };
    c_int::from(flow.is_some())
}

pub(crate) unsafe extern "C" fn skb_get_flows(skbs: *const RawSkb, count: usize, out: *mut Flow) {
    if count == 0 {
        return;
    }
    // SAFETY: the caller gives `count` skbs in a row; `skb_t` has the layout of `Skb`.
    let skbs = unsafe { std::slice::from_raw_parts(skbs.cast::<Skb>(), count) };
    for (position, flow) in flows_of(skbs).enumerate() {
        // SAFETY: the caller gives places for as many flows.
        unsafe { out.add(position).write(flow) };
    }
}

pub(crate) unsafe extern "C" fn skb_set_hashes(skbs: *mut RawSkb, count: usize) -> usize {
    if count == 0 {
        return 0;
    }
    // SAFETY: the caller gives `count` skbs in a row, which it owns.
    set_hashes(unsafe { std::slice::from_raw_parts_mut(skbs.cast::<Skb>(), count) })
}
