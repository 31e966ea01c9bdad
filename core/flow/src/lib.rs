//! Where the headers of a frame lie, and which flow it belongs to.
//!
//! [`dissect`] reads a frame of bytes, [`flow_of`] an skb, chains included; nobody's metadata is
//! trusted and nothing is read outside the frame. A [`Flow`] has the five-tuple, where the headers
//! begin, and a hash that both directions share.
//!
//! ```
//! let mut frame = vec![0u8; 60];
//! frame[12..14].copy_from_slice(&[8, 0]); // IPv4
//! frame[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17]); // UDP
//! frame[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
//! frame[34..38].copy_from_slice(&[0, 53, 0x30, 0x39]);
//! let flow = skbpool_flow::dissect(1, &frame).unwrap();
//! assert_eq!((flow.source(), flow.source_port), (&[10, 0, 0, 1][..], 53));
//! assert_eq!((flow.destination(), flow.destination_port), (&[10, 0, 0, 2][..], 12345));
//! assert_eq!((flow.protocol, flow.network_offset, flow.transport_offset), (17, 14, 34));
//! ```
#![deny(unsafe_code)]

mod flow;
mod link;
mod network;
mod read;
mod views;

pub use flow::{Flow, FlowFlags};
pub use network::MAX_EXTENSION_HEADERS;
pub use views::{flow_of, flows_of, set_hashes};

/// Bytes at the front of a frame in which its headers are looked for; what begins behind them is as
/// if the frame ended there.
pub const FRONT: usize = 512;

/// The flow of a frame; `None` without a whole IPv4 or IPv6 header.
///
/// `link_type` is a LINKTYPE_ number: Ethernet (1) with up to two VLAN tags, raw IP (12, 14, 101, 228,
/// 229), BSD loopback (0, 108), Linux cooked (113, 276); of others nothing is known. IPv6 extension
/// headers are passed over, at most [`MAX_EXTENSION_HEADERS`]. Bytes behind the length that the IP
/// header tells are padding and not looked at. Checksums are not.
///
/// Cost: no allocation, and a few loads from the one or two cache lines that hold the headers.
#[inline]
pub fn dissect(link_type: u16, frame: &[u8]) -> Option<Flow> {
    dissect_front(link_type, &frame[..frame.len().min(FRONT)], frame.len())
}

/// The flow of a frame of `len` bytes that begins with `front`.
#[inline(always)]
fn dissect_front(link_type: u16, front: &[u8], len: usize) -> Option<Flow> {
    network::flow(front, len, link::network(link_type, front)?)
}
