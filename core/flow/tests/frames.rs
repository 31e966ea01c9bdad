//! Frames built by hand, random ones, and damaged ones.
#![cfg(not(loom))]

use proptest::prelude::*;
use skbpool_flow::{FRONT, Flow, FlowFlags, dissect, flow_of, flows_of, set_hashes};
use skbpool_pool::{Pool, Skb};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 0, 2, 77];
const PORTS: [u8; 8] = [0x12, 0x34, 0, 80, 1, 2, 3, 4];

/// An IPv4 datagram with `options` bytes of options.
fn ipv4(protocol: u8, fragment: u16, options: usize, payload: &[u8]) -> Vec<u8> {
    let total = (20 + options + payload.len()) as u16;
    let mut bytes = vec![0x45 + (options / 4) as u8, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 7]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(A.iter().chain(&B).copied().chain(std::iter::repeat_n(1, options)));
    bytes.extend(payload);
    bytes
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend((1..=32).collect::<Vec<u8>>());
    bytes.extend(payload);
    bytes
}

fn ethernet(tags: &[u16], datagram: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0, 5]);
    }
    bytes.extend(if datagram[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xDD] });
    bytes.extend(datagram);
    bytes
}

fn five(flow: &Flow) -> (&[u8], &[u8], u16, u16, u8) {
    (flow.source(), flow.destination(), flow.source_port, flow.destination_port, flow.protocol)
}

#[test]
fn vlan_tags_are_passed_over_two_at_most() {
    let datagram = ipv4(6, 0, 0, &PORTS);
    for (tags, offset) in [(&[][..], 14), (&[0x8100], 18), (&[0x88A8, 0x8100], 22)] {
        let flow = dissect(1, &ethernet(tags, &datagram)).unwrap();
        assert_eq!(five(&flow), (&A[..], &B[..], 0x1234, 80, 6));
        assert_eq!((flow.network_offset, flow.transport_offset), (offset, offset + 20));
        assert_eq!((usize::from(flow.vlan_tags), flow.flags), (tags.len(), FlowFlags::PORTS));
    }
    assert_eq!(dissect(1, &ethernet(&[0x8100; 3], &datagram)), None);
}

#[test]
fn every_link_type_with_a_simple_header() {
    let (four, six) = (ipv4(17, 0, 0, &PORTS), ipv6(17, &PORTS));
    let with = |before: &[u8], datagram: &[u8]| [before, datagram].concat();
    let sll = |ether_type: [u8; 2]| [&[0; 14][..], &ether_type].concat();
    let sll2 = |ether_type: [u8; 2]| [&ether_type[..], &[0; 18]].concat();
    let frames = [
        (101, with(&[], &four), 4, 0),
        (12, with(&[], &six), 6, 0),
        (228, with(&[], &four), 4, 0),
        (229, with(&[], &six), 6, 0),
        (0, with(&[2, 0, 0, 0], &four), 4, 4),
        (0, with(&[30, 0, 0, 0], &six), 6, 4),
        (108, with(&[0, 0, 0, 24], &six), 6, 4),
        (113, with(&sll([8, 0]), &four), 4, 16),
        (113, with(&sll([0x86, 0xDD]), &six), 6, 16),
        (276, with(&sll2([8, 0]), &four), 4, 20),
    ];
    for (link_type, frame, version, offset) in frames {
        let flow = dissect(link_type, &frame).unwrap();
        assert_eq!((flow.version, flow.network_offset), (version, offset), "{link_type}");
        assert_eq!((flow.source_port, flow.destination_port), (0x1234, 80), "{link_type}");
        assert_eq!(dissect(105, &frame), None);
    }
    for frame in [&[9, 0, 0, 0][..], &[2, 0, 0], &[]] {
        assert_eq!(dissect(0, frame), None);
    }
}

#[test]
fn only_the_first_fragment_has_ports_and_all_have_one_hash() {
    let whole = dissect(101, &ipv4(17, 0x4000, 8, &PORTS)).unwrap();
    let first = dissect(101, &ipv4(17, 0x2000, 8, &PORTS)).unwrap();
    let later = dissect(101, &ipv4(17, 0x2001, 8, &PORTS)).unwrap();
    assert_eq!((whole.flags, whole.transport_offset), (FlowFlags::PORTS, 28));
    assert_eq!((first.flags.0, first.destination_port), (1 | 2, 80));
    assert_eq!((later.flags.0, later.destination_port, later.transport_offset), (2 | 4, 0, 0));
    assert_eq!(first.hash, later.hash);
    assert_ne!(first.hash, whole.hash);

    let six = |offset: [u8; 2]| {
        let header = [17, 0, offset[0], offset[1], 0, 0, 0, 9];
        dissect(101, &ipv6(44, &[&header[..], &PORTS].concat())).unwrap()
    };
    assert_eq!((six([0, 0]).flags, six([0, 0]).transport_offset), (FlowFlags::PORTS, 48));
    assert_eq!((six([0, 1]).flags.0, six([0, 1]).source_port), (1 | 2, 0x1234));
    assert_eq!((six([0, 8]).flags.0, six([0, 8]).protocol), (2 | 4, 17));
    assert_eq!(six([0, 1]).hash, six([0, 8]).hash);
}

#[test]
fn extension_headers_are_passed_over_eight_at_most() {
    let chain = |kinds: &[u8]| {
        let mut payload = Vec::new();
        for (position, &kind) in kinds.iter().enumerate() {
            let next = kinds.get(position + 1).copied().unwrap_or(6);
            // Its length: 16 bytes in units of 8 without the first, or of 4 without the first two.
            payload.extend([next, if kind == 51 { 2 } else { 1 }]);
            payload.extend([0; 14]);
        }
        payload.extend(PORTS);
        dissect(101, &ipv6(kinds.first().copied().unwrap_or(6), &payload)).unwrap()
    };
    for kinds in [&[][..], &[0], &[0, 60, 43, 51], &[0, 60, 43, 51, 60, 135, 139, 140]] {
        let flow = chain(kinds);
        assert_eq!((flow.protocol, flow.destination_port), (6, 80), "{kinds:?}");
        assert_eq!(usize::from(flow.transport_offset), 40 + 16 * kinds.len());
    }
    let nine = chain(&[60; 9]);
    assert_eq!((nine.protocol, nine.flags, nine.transport_offset), (6, FlowFlags::NO_TRANSPORT, 0));
}

#[test]
fn icmp_tells_type_and_code() {
    let flow = dissect(101, &ipv4(1, 0, 0, &[3, 1, 0, 0])).unwrap();
    assert_eq!((flow.source_port, flow.destination_port, flow.flags.0), (0, 0x0301, 0));
    let flow = dissect(101, &ipv6(58, &[135, 0, 0, 0])).unwrap();
    assert_eq!((flow.destination_port, flow.protocol), (135 << 8, 58));
    let flow = dissect(101, &ipv4(47, 0, 0, &PORTS)).unwrap();
    assert_eq!((five(&flow).2, five(&flow).3, flow.flags.0), (0, 0, 0));
}

#[test]
fn what_lies_behind_the_datagram_is_padding() {
    let mut frame = ethernet(&[], &ipv4(6, 0, 0, &PORTS[..3]));
    let cut = dissect(1, &frame).unwrap();
    frame.resize(60, 0xEE);
    let padded = dissect(1, &frame).unwrap();
    assert_eq!(padded, cut);
    assert_eq!((cut.flags, cut.transport_offset), (FlowFlags::NO_TRANSPORT, 34));
    // Segmentation offload leaves the length at 0.
    frame[16..18].fill(0);
    assert_eq!(dissect(1, &frame).unwrap().flags, FlowFlags::PORTS);
    // A header longer than its datagram, or shorter than a header, is none.
    for (at, value) in [(17, 19), (14, 0x44), (14, 0x65)] {
        let mut wrong = ethernet(&[], &ipv4(6, 0, 0, &PORTS));
        wrong[at] = value;
        assert_eq!(dissect(1, &wrong), None, "{at}");
    }
}

#[test]
fn both_directions_have_one_hash_and_others_have_another() {
    let there = ipv4(6, 0, 0, &PORTS);
    let mut back = there.clone();
    back[12..16].copy_from_slice(&B);
    back[16..20].copy_from_slice(&A);
    back[20..24].copy_from_slice(&[0, 80, 0x12, 0x34]);
    let (there, back) = (dissect(101, &there).unwrap(), dissect(101, &back).unwrap());
    assert_eq!(there.hash, back.hash);
    let mut hashes: Vec<u32> = (0..=u16::MAX)
        .map(|port| {
            let mut frame = ipv4(6, 0, 0, &PORTS);
            frame[20..22].copy_from_slice(&port.to_be_bytes());
            dissect(101, &frame).unwrap().hash
        })
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    // 65,536 random numbers of 32 bits have half a pair alike.
    assert!(hashes.len() > 65_530, "{}", hashes.len());
    assert!(!hashes.contains(&0));
}

/// A chain of `frame` cut at `cuts`, each part in a buffer of its own.
fn chain(pool: &Pool, frame: &[u8], cuts: &[usize]) -> Skb {
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (frame.len() + 1)).collect();
    bounds.extend([0, frame.len()]);
    bounds.sort_unstable();
    let mut parts = bounds.windows(2).map(|bound| {
        let mut skb = pool.alloc().unwrap().into_empty_skb();
        skb.put((bound[1] - bound[0]) as u32).unwrap().copy_from_slice(&frame[bound[0]..bound[1]]);
        skb
    });
    let mut whole = parts.next().unwrap();
    for part in parts {
        whole.append_frag(part).map_err(|(error, _)| error).unwrap();
    }
    whole
}

#[test]
fn a_whole_frame_is_whole_wherever_it_is_cut() {
    let pool = Pool::builder(16).build().unwrap();
    let frame = ethernet(&[], &ipv4(17, 0, 0, &[9; 1480]));
    for (cut_off, flags) in [(0, FlowFlags::PORTS.0), (1, 1 | FlowFlags::TRUNCATED.0)] {
        let frame = &frame[..frame.len() - cut_off];
        for cut in 0..=frame.len() {
            let flow = flow_of(&chain(&pool, frame, &[cut]));
            assert_eq!(flow.map(|flow| flow.flags.0), Some(flags), "cut at {cut}");
        }
    }
    let jumbo = ethernet(&[], &ipv6(17, &[9; 7900]));
    for cuts in [[4096, 7000], [100, 4100], [512, 4608], [3000, 6000]] {
        assert_eq!(flow_of(&chain(&pool, &jumbo, &cuts)), dissect(1, &jumbo), "{cuts:?}");
    }
}

#[test]
fn hashes_are_set_where_there_are_none() {
    let pool = Pool::builder(16).build().unwrap();
    let frame = ethernet(&[], &ipv4(6, 0, 0, &PORTS));
    let mut skbs =
        [chain(&pool, &frame, &[]), chain(&pool, &frame, &[20, 36]), chain(&pool, b"arp", &[])];
    skbs[0].hash = 9;
    assert_eq!(set_hashes(&mut skbs), 1);
    let flow = dissect(1, &frame).unwrap();
    assert_eq!(skbs.each_ref().map(|skb| skb.hash), [9, flow.hash, 0]);
    assert_eq!(flows_of(&skbs).collect::<Vec<_>>(), [flow, flow, Flow::NONE]);
}

/// Frames that get far: headers with a few bytes changed, cut off anywhere.
fn damaged() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let extension = (prop::sample::select(vec![0u8, 43, 44, 51, 60, 6, 17, 58, 59]), 0u8..5);
    let extensions = prop::collection::vec(extension, 0..12).prop_map(|headers| {
        let bytes = headers.into_iter().flat_map(|(next, length)| [next, length, 0, 0, 0, 0, 0, 0]);
        [bytes.collect::<Vec<u8>>(), vec![7; 600]].concat()
    });
    let frame = (extensions, 0u8..4, prop::sample::select(vec![0u8, 6, 17, 44, 1, 60]));
    let frame = frame.prop_map(|(payload, kind, next)| match kind {
        0 => (1, ethernet(&[], &ipv4(next, 0, 4, &payload))),
        1 => (1, ethernet(&[0x8100, 0x8100], &ipv6(next, &payload))),
        2 => (101, ipv6(next, &payload)),
        _ => (113, [&[0; 14][..], &[8, 0], &ipv4(next, 0x2000, 0, &payload)].concat()),
    });
    let changes = prop::collection::vec((0usize..120, any::<u8>()), 0..4);
    (frame, changes, 0usize..700).prop_map(|((link_type, mut frame), changes, len)| {
        for (at, value) in changes {
            let at = at % frame.len();
            frame[at] = value;
        }
        frame.truncate(len);
        (link_type, frame)
    })
}

fn check(link_type: u16, frame: &[u8]) {
    let Some(flow) = dissect(link_type, frame) else { return };
    let (network, transport) = (flow.network_offset as usize, flow.transport_offset as usize);
    let header = if flow.version == 4 { 20 } else { 40 };
    assert!(network + header <= frame.len().min(FRONT));
    assert!(transport == 0 || (network + header..=frame.len().min(FRONT)).contains(&transport));
    assert_eq!(frame[network] >> 4, flow.version);
    if flow.flags.contains(FlowFlags::PORTS) {
        assert_eq!(frame[transport..transport + 2], flow.source_port.to_be_bytes());
        assert_eq!(frame[transport + 2..transport + 4], flow.destination_port.to_be_bytes());
    }
    assert_ne!(flow.hash, 0);
    // What comes behind the front does not matter, but for the length.
    let mut changed = frame.to_vec();
    changed.iter_mut().skip(FRONT).for_each(|byte| *byte ^= 0xFF);
    assert_eq!(dissect(link_type, &changed), Some(flow));
}

proptest! {
    #[test]
    fn random_bytes_have_flows_inside_them(
        link_type in prop::sample::select(vec![0u16, 1, 12, 101, 108, 113, 276, 105]),
        frame in prop::collection::vec(any::<u8>(), 0..700),
    ) {
        check(link_type, &frame);
    }

    #[test]
    fn damaged_frames_have_flows_inside_them((link_type, frame) in damaged()) {
        check(link_type, &frame);
    }

    #[test]
    fn a_chain_has_the_flow_of_its_bytes(
        (link_type, frame) in damaged(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let pool = Pool::builder(16).build().unwrap();
        let mut skb = chain(&pool, &frame, &cuts);
        skb.link_type = link_type;
        prop_assert_eq!(flow_of(&skb), dissect(link_type, &frame));
    }
}
