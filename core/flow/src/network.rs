//! From the IP header to the ports.

use crate::flow::{Flow, FlowFlags};
use crate::link::Network;
use crate::read::{array_at, u8_at, u16_at};

/// IPv6 extension headers that are passed over; a frame with more ends there, for us.
pub const MAX_EXTENSION_HEADERS: usize = 8;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// Where the transport header begins, and whether it does at all.
struct Transport {
    offset: usize,
    protocol: u8,
    flags: FlowFlags,
    /// The header is in another fragment of the datagram, or what is before it does not end.
    elsewhere: bool,
}

/// `front` is the front of a frame of `len` bytes.
#[inline(always)]
pub(crate) fn flow(front: &[u8], len: usize, network: Network) -> Option<Flow> {
    let at = network.offset;
    if u8_at(front, at)? >> 4 != network.version {
        return None;
    }
    let mut flow = Flow::NONE;
    flow.version = network.version;
    flow.vlan_tags = network.vlan_tags;
    flow.network_offset = at as u16;
    // A frame cannot be longer than it is; a datagram that says 0 is longer than it can say.
    let (told, transport) = if network.version == 4 {
        let header: [u8; 20] = array_at(front, at)?;
        let words = usize::from(header[0] & 15);
        let told = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if words < 5 || (told != 0 && told < words * 4) {
            return None;
        }
        flow.source[..4].copy_from_slice(&header[12..16]);
        flow.destination[..4].copy_from_slice(&header[16..20]);
        (told, ipv4(&header, at + words * 4))
    } else {
        let header: [u8; 40] = array_at(front, at)?;
        let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
        flow.source.copy_from_slice(&header[8..24]);
        flow.destination.copy_from_slice(&header[24..40]);
        let told = if payload == 0 { 0 } else { 40 + payload };
        let datagram = datagram(front, at, told);
        (told, ipv6(datagram, header[6], at + 40))
    };
    let datagram = datagram(front, at, told);
    flow.protocol = transport.protocol;
    flow.flags = transport.flags;
    if transport.elsewhere || transport.offset > datagram.len() {
        flow.flags.0 |= FlowFlags::NO_TRANSPORT.0;
    } else {
        flow.transport_offset = transport.offset as u16;
        ports(datagram, &mut flow);
    }
    if told != 0 && len - at < told {
        flow.flags.0 |= FlowFlags::TRUNCATED.0;
    }
    flow.hash = flow.symmetric_hash();
    Some(flow)
}

/// What the front holds of the datagram at `at` that says it has `told` bytes; 0: it does not say.
#[inline(always)]
fn datagram(front: &[u8], at: usize, told: usize) -> &[u8] {
    if told == 0 { front } else { &front[..front.len().min(at + told)] }
}

#[inline(always)]
fn ipv4(header: &[u8; 20], offset: usize) -> Transport {
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    // More fragments, or not at 0.
    let flags = if fragment & 0x3FFF != 0 { FlowFlags::FRAGMENT } else { FlowFlags(0) };
    Transport { offset, protocol: header[9], flags, elsewhere: fragment & 0x1FFF != 0 }
}

#[inline(always)]
fn ipv6(datagram: &[u8], mut protocol: u8, mut offset: usize) -> Transport {
    let mut flags = FlowFlags(0);
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let units = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 => 8,
            AUTHENTICATION => 4,
            FRAGMENT => 0,
            _ => return Transport { offset, protocol, flags, elsewhere: false },
        };
        let Some([next, length, high, low]) = array_at(datagram, offset) else { break };
        match units {
            0 => {
                let fragment = u16::from_be_bytes([high, low]);
                if fragment & 0xFFF9 != 0 {
                    flags.0 |= FlowFlags::FRAGMENT.0;
                }
                if fragment & 0xFFF8 != 0 {
                    return Transport { offset, protocol: next, flags, elsewhere: true };
                }
                offset += 8;
            }
            8 => offset += (usize::from(length) + 1) * 8,
            _ => offset += (usize::from(length) + 2) * 4,
        }
        protocol = next;
    }
    Transport { offset, protocol, flags, elsewhere: true }
}

#[inline(always)]
fn ports(datagram: &[u8], flow: &mut Flow) {
    let at = usize::from(flow.transport_offset);
    match flow.protocol {
        TCP | UDP | SCTP | DCCP | UDP_LITE => {
            if let (Some(source), Some(destination)) =
                (u16_at(datagram, at), u16_at(datagram, at + 2))
            {
                (flow.source_port, flow.destination_port) = (source, destination);
                flow.flags.0 |= FlowFlags::PORTS.0;
            } else {
                flow.flags.0 |= FlowFlags::NO_TRANSPORT.0;
            }
        }
        ICMP | ICMPV6 => match u16_at(datagram, at) {
            Some(type_and_code) => flow.destination_port = type_and_code,
            None => flow.flags.0 |= FlowFlags::NO_TRANSPORT.0,
        },
        _ => {}
    }
}
