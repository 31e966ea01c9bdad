//! Judges generated frames by etherparse.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use skbpool_nic::Stamp;

/// Panics unless `frame` is Ethernet II, IPv4 and UDP with right lengths and checksums, and carries
/// `stamp`.
pub fn check_stamped(frame: &[u8], stamp: Stamp) {
    let packet = SlicedPacket::from_ethernet(frame).expect("a valid packet");
    let ethernet = packet.link.as_ref().and_then(|link| link.to_header()).expect("Ethernet II");
    let ethernet = ethernet.ethernet2().expect("Ethernet II");
    for mac in [ethernet.source, ethernet.destination] {
        assert_eq!(mac[0] & 3, 2, "locally administered, unicast");
    }
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("no IPv4") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    for address in [header.source, header.destination] {
        assert_eq!((address[0], address[1] & 0xfe), (198, 18), "RFC 2544 addresses");
    }
    let datagram = usize::from(header.total_len);
    assert_eq!(datagram, (frame.len() - 14).min(65_535));
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("no UDP") };
    let header_udp = udp.to_header();
    assert_eq!(header_udp.destination_port, 9);
    assert_eq!(usize::from(header_udp.length), datagram - 20);
    let checksum = header_udp.calc_checksum_ipv4(&header, udp.payload()).unwrap();
    assert_ne!(header_udp.checksum, 0, "zero would mean: no checksum");
    assert_eq!(header_udp.checksum, checksum);
    assert_eq!(Stamp::of_frame(frame), Some(stamp));
    assert_eq!(Stamp::decode(udp.payload()), Some(stamp));
}
