//! The flow of a frame.

/// What is known about a flow, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct FlowFlags(pub u8);

impl FlowFlags {
    /// The ports are those of TCP, UDP, UDP-Lite, SCTP or DCCP.
    pub const PORTS: FlowFlags = FlowFlags(1);
    /// The frame has a fragment of a datagram.
    pub const FRAGMENT: FlowFlags = FlowFlags(2);
    /// The transport header is not there: in an earlier fragment, cut off, or too far behind.
    pub const NO_TRANSPORT: FlowFlags = FlowFlags(4);
    /// The frame ends before the datagram in it.
    pub const TRUNCATED: FlowFlags = FlowFlags(8);

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: FlowFlags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// The five-tuple of a frame, and where its headers lie.
///
/// ```text
///  0 source                       16 destination
/// 32 source_port  34 destination_port  36 protocol  37 version
/// 38 flags  39 vlan_tags  40 network_offset  42 transport_offset  44 hash
/// ```
/// The first 38 bytes are the key of the flow: equal for frames of one direction, and for no others.
/// Not so where the ports are not there ([`FlowFlags::NO_TRANSPORT`]), as in later fragments: these
/// have another key than their first, and the same as those of other flows between the same hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Address in network order; IPv4 in the first 4 bytes, the others are 0.
    pub source: [u8; 16],
    /// As `source`.
    pub destination: [u8; 16],
    /// In the machine's order; 0 without [`FlowFlags::PORTS`].
    pub source_port: u16,
    /// As `source_port`; of ICMP, type × 256 + code, as NetFlow has it.
    pub destination_port: u16,
    /// The IP protocol behind the extension headers of IPv6.
    pub protocol: u8,
    /// 4 or 6; 0: no flow.
    pub version: u8,
    /// What is known.
    pub flags: FlowFlags,
    /// VLAN tags before the IP header.
    pub vlan_tags: u8,
    /// Bytes before the IP header.
    pub network_offset: u16,
    /// Bytes before the transport header; 0 if that does not begin in this frame's front.
    pub transport_offset: u16,
    /// Hash of the flow, the same for both directions, never 0; 0: no flow.
    pub hash: u32,
}

const _: () = {
    assert!(size_of::<Flow>() == 48);
    assert!(std::mem::offset_of!(Flow, source_port) == 32);
    assert!(std::mem::offset_of!(Flow, version) == 37);
    assert!(std::mem::offset_of!(Flow, hash) == 44);
};

/// Digits of the golden ratio and of √2, odd: any such numbers do.
const MULTIPLIERS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0x6A09_E667_F3BC_C909];

impl Flow {
    /// No flow: all zeros.
    pub const NONE: Flow = Flow {
        source: [0; 16],
        destination: [0; 16],
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        version: 0,
        flags: FlowFlags(0),
        vlan_tags: 0,
        network_offset: 0,
        transport_offset: 0,
        hash: 0,
    };

    /// The source address: 4 or 16 bytes in network order, none without a flow.
    pub fn source(&self) -> &[u8] {
        &self.source[..self.address_len()]
    }

    /// The destination address, as [`Flow::source`].
    pub fn destination(&self) -> &[u8] {
        &self.destination[..self.address_len()]
    }

    fn address_len(&self) -> usize {
        match self.version {
            4 => 4,
            6 => 16,
            _ => 0,
        }
    }

    /// Hash of the addresses, the ports and the protocol. Fragments are hashed without ports, so that
    /// those of a datagram stay together; both directions have the same, as `skb_get_hash` of Linux
    /// makes sure too.
    ///
    /// Folded multiplication of 64-bit words, the mixing step of wyhash. The same in every process;
    /// no defence against who chooses addresses to collide.
    #[inline(always)]
    pub(crate) fn symmetric_hash(&self) -> u32 {
        let ported = self.flags.0 & (FlowFlags::PORTS.0 | FlowFlags::FRAGMENT.0);
        let keep = if ported == FlowFlags::PORTS.0 { u16::MAX } else { 0 };
        let source = (u128::from_be_bytes(self.source), self.source_port & keep);
        let destination = (u128::from_be_bytes(self.destination), self.destination_port & keep);
        let (low, high) =
            if source <= destination { (source, destination) } else { (destination, source) };
        let about = u64::from(low.1) << 32 | u64::from(high.1) << 16 | u64::from(self.protocol);
        let first = folded(upper(low.0) ^ MULTIPLIERS[0], upper(high.0) ^ MULTIPLIERS[1]);
        let second = folded(lower(low.0) ^ MULTIPLIERS[1], lower(high.0) ^ MULTIPLIERS[0]);
        let mixed = folded(first ^ about ^ MULTIPLIERS[0], second ^ MULTIPLIERS[1]);
        let hash = (mixed ^ mixed >> 32) as u32;
        hash.max(1)
    }
}

#[inline(always)]
fn upper(address: u128) -> u64 {
    (address >> 64) as u64
}

#[inline(always)]
fn lower(address: u128) -> u64 {
    address as u64
}

#[inline(always)]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    upper(product) ^ lower(product)
}
