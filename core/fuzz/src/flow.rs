//! Where the headers of frames lie: as a reader says that cuts them off one after the other.

use skbpool_flow::{FRONT, Flow, FlowFlags, MAX_EXTENSION_HEADERS, dissect, flow_of, set_hashes};
use skbpool_pool::{Pool, Skb};

use crate::numbers::Numbers;
use crate::rig::with_pool;

const LINK_TYPES: [u16; 12] = [1, 1, 1, 101, 12, 14, 228, 229, 0, 108, 113, 276];

/// A frame of a link type; whole, as a chain, and with both ends exchanged.
pub(crate) fn flow(data: &[u8]) {
    let mut input = Numbers::new(data);
    let kind = input.u8();
    let link_type = LINK_TYPES.get(usize::from(kind & 15)).copied().unwrap_or(u16::from(kind));
    let cuts = [input.u8(), input.u8()].map(usize::from);
    let frame = input.bytes(usize::MAX);
    let flow = dissect(link_type, frame);
    assert_eq!(flow.map(|flow| Flow { hash: 0, ..flow }), naive(link_type, frame));
    if let Some(flow) = flow {
        assert_ne!(flow.hash, 0);
        let back = dissect(link_type, &reversed(frame, &flow)).expect("the same headers");
        assert_eq!((back.source(), back.source_port), (flow.destination(), back_port(&flow)));
        assert_eq!((back.hash, back.flags), (flow.hash, flow.flags));
    }
    with_pool(|pool| {
        let mut skb = chain(pool, frame, cuts);
        skb.link_type = link_type;
        assert_eq!(flow_of(&skb), flow, "cut at {cuts:?}");
        assert_eq!(set_hashes(std::slice::from_mut(&mut skb)), usize::from(flow.is_some()));
        assert_eq!(skb.hash, flow.map_or(0, |flow| flow.hash));
    });
}

/// The source port of the other direction.
fn back_port(flow: &Flow) -> u16 {
    if flow.flags.contains(FlowFlags::PORTS) { flow.destination_port } else { 0 }
}

/// The frame with addresses and ports exchanged.
fn reversed(frame: &[u8], flow: &Flow) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let size = flow.source().len();
    let addresses = usize::from(flow.network_offset) + if size == 4 { 12 } else { 8 };
    frame[addresses..addresses + 2 * size].rotate_left(size);
    if flow.flags.contains(FlowFlags::PORTS) {
        let ports = usize::from(flow.transport_offset);
        frame[ports..ports + 4].rotate_left(2);
    }
    frame
}

/// The frame in up to three buffers, cut behind so many bytes.
fn chain(pool: &Pool, frame: &[u8], [first, second]: [usize; 2]) -> Skb {
    let (one, rest) = frame.split_at(first.min(frame.len()));
    let (two, three) = rest.split_at(second.min(rest.len()));
    let mut parts = [one, two, three].into_iter().map(|part| {
        let mut skb = pool.alloc().expect("512 buffers").into_empty_skb();
        skb.put(part.len() as u32).expect("4 KiB").copy_from_slice(part);
        skb
    });
    let mut head = parts.next().expect("three");
    for part in parts {
        head.append_frag(part).map_err(|(error, _)| error).expect("two fragments");
    }
    head
}

/// The flow without its hash.
fn naive(link_type: u16, frame: &[u8]) -> Option<Flow> {
    let front = &frame[..frame.len().min(FRONT)];
    let (version, vlan_tags, ip) = behind_link(link_type, front)?;
    let mut flow = Flow { version, vlan_tags, ..Flow::NONE };
    let offset_of = |rest: &[u8]| (rest.as_ptr().addr() - frame.as_ptr().addr()) as u16;
    flow.network_offset = offset_of(ip);
    if ip.first()? >> 4 != version {
        return None;
    }
    let (told, transport);
    if version == 4 {
        let (header, _) = ip.split_at_checked(20)?;
        let size = usize::from(header[0] & 0x0F) * 4;
        told = number(&header[2..4]);
        if size < 20 || (1..size).contains(&told) {
            return None;
        }
        flow.source[..4].copy_from_slice(&header[12..16]);
        flow.destination[..4].copy_from_slice(&header[16..20]);
        flow.protocol = header[9];
        let (more, place) = (header[6] & 0x20 != 0, number(&header[6..8]) & 0x1FFF);
        if more || place != 0 {
            flow.flags.0 |= FlowFlags::FRAGMENT.0;
        }
        transport = within(ip, told).get(size..).filter(|_| place == 0);
    } else {
        let (header, _) = ip.split_at_checked(40)?;
        told = match number(&header[4..6]) {
            0 => 0,
            payload => 40 + payload,
        };
        flow.source.copy_from_slice(&header[8..24]);
        flow.destination.copy_from_slice(&header[24..40]);
        flow.protocol = header[6];
        transport = behind_extensions(&within(ip, told)[40..], &mut flow);
    }
    if told > frame.len() - usize::from(flow.network_offset) {
        flow.flags.0 |= FlowFlags::TRUNCATED.0;
    }
    let Some(transport) = transport else {
        flow.flags.0 |= FlowFlags::NO_TRANSPORT.0;
        return Some(flow);
    };
    flow.transport_offset = offset_of(transport);
    match (flow.protocol, transport) {
        (1 | 58, [kind, code, ..]) => flow.destination_port = u16::from_be_bytes([*kind, *code]),
        (6 | 17 | 33 | 132 | 136, [a, b, c, d, ..]) => {
            flow.source_port = u16::from_be_bytes([*a, *b]);
            flow.destination_port = u16::from_be_bytes([*c, *d]);
            flow.flags.0 |= FlowFlags::PORTS.0;
        }
        (1 | 58 | 6 | 17 | 33 | 132 | 136, _) => flow.flags.0 |= FlowFlags::NO_TRANSPORT.0,
        _ => {}
    }
    Some(flow)
}

/// Version of IP, VLAN tags, and the frame from the IP header on.
fn behind_link(link_type: u16, front: &[u8]) -> Option<(u8, u8, &[u8])> {
    let (ether_type, mut rest) = match link_type {
        1 => (front.get(12..14)?, &front[14..]),
        113 => (front.get(14..16)?, &front[16..]),
        276 => (front.get(..2)?, front.get(20..)?),
        0 | 108 => {
            let (family, rest) = front.split_at_checked(4)?;
            let version = match family {
                [2, 0, 0, 0] | [0, 0, 0, 2] => 4,
                [10 | 24 | 28 | 30, 0, 0, 0] | [0, 0, 0, 10 | 24 | 28 | 30] => 6,
                _ => return None,
            };
            return Some((version, 0, rest));
        }
        12 | 14 | 101 | 228 | 229 => {
            let version = front.first()? >> 4;
            return (version == 4 || version == 6).then_some((version, 0, front));
        }
        _ => return None,
    };
    let (mut ether_type, mut tags) = (ether_type, 0);
    while tags < 2 && matches!(ether_type, [0x81 | 0x91, 0] | [0x88, 0xA8]) {
        (ether_type, rest) = (rest.get(2..4)?, &rest[4..]);
        tags += 1;
    }
    match ether_type {
        [0x08, 0x00] => Some((4, tags, rest)),
        [0x86, 0xDD] => Some((6, tags, rest)),
        _ => None,
    }
}

/// What there is of a datagram that says it has `told` bytes; 0: it does not say.
fn within(ip: &[u8], told: usize) -> &[u8] {
    if told == 0 || told > ip.len() { ip } else { &ip[..told] }
}

/// Passes over extension headers, with the protocol behind them in `flow`; none if what is behind them
/// is not there.
fn behind_extensions<'a>(mut rest: &'a [u8], flow: &mut Flow) -> Option<&'a [u8]> {
    for passed in 0.. {
        if !matches!(flow.protocol, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140) {
            break;
        }
        let [next, length] = [*rest.first()?, rest.get(..4)?[1]];
        let size = match flow.protocol {
            44 => 8,
            51 => 4 * (usize::from(length) + 2),
            _ => 8 * (usize::from(length) + 1),
        };
        let fragment = if flow.protocol == 44 { number(&rest[2..4]) } else { 0 };
        flow.protocol = next;
        if fragment & !6 != 0 {
            flow.flags.0 |= FlowFlags::FRAGMENT.0;
        }
        // One more than are passed over still tells what follows it.
        if fragment >> 3 != 0 || passed == MAX_EXTENSION_HEADERS {
            return None;
        }
        rest = rest.get(size..)?;
    }
    Some(rest)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}
