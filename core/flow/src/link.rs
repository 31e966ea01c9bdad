//! From the link layer to the IP header.

use crate::read::{array_at, u8_at, u16_at};

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const RAW: [u16; 5] = [101, 12, 14, 228, 229];
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const LINUX_SLL2: u16 = 276;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
/// 802.1Q, 802.1ad, and what came before the latter.
const VLAN: [u16; 3] = [0x8100, 0x88A8, 0x9100];
const MAX_VLAN_TAGS: u8 = 2;

/// AF_INET everywhere; AF_INET6 of NetBSD and OpenBSD, FreeBSD, Darwin, and Linux.
const AF_INET: u32 = 2;
const AF_INET6: [u32; 4] = [24, 28, 30, 10];

/// Where an IP header begins, by the word of whatever is before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub offset: usize,
    /// 4 or 6.
    pub version: u8,
    pub vlan_tags: u8,
}

#[inline(always)]
pub(crate) fn network(link_type: u16, frame: &[u8]) -> Option<Network> {
    match link_type {
        ETHERNET => of_ether_type(frame, u16_at(frame, 12)?, 14),
        LINUX_SLL => of_ether_type(frame, u16_at(frame, 14)?, 16),
        LINUX_SLL2 => of_ether_type(frame, u16_at(frame, 0)?, 20),
        NULL | LOOP => of_family(array_at(frame, 0)?),
        _ if RAW.contains(&link_type) => {
            let version = u8_at(frame, 0)? >> 4;
            matches!(version, 4 | 6).then_some(Network { offset: 0, version, vlan_tags: 0 })
        }
        _ => None,
    }
}

#[inline(always)]
fn of_ether_type(frame: &[u8], mut ether_type: u16, mut offset: usize) -> Option<Network> {
    let mut vlan_tags = 0;
    while VLAN.contains(&ether_type) && vlan_tags < MAX_VLAN_TAGS {
        ether_type = u16_at(frame, offset + 2)?;
        offset += 4;
        vlan_tags += 1;
    }
    let version = match ether_type {
        IPV4 => 4,
        IPV6 => 6,
        _ => return None,
    };
    Some(Network { offset, version, vlan_tags })
}

/// The family is in the byte order of the machine that captured it, or of the network.
fn of_family(family: [u8; 4]) -> Option<Network> {
    let (little, big) = (u32::from_le_bytes(family), u32::from_be_bytes(family));
    let version = if little == AF_INET || big == AF_INET {
        4
    } else if AF_INET6.contains(&little) || AF_INET6.contains(&big) {
        6
    } else {
        return None;
    };
    Some(Network { offset: 4, version, vlan_tags: 0 })
}
