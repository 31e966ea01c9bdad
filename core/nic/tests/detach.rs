//! S6 in one process: driver, hub and pool handles go while views are out; the views stay readable,
//! and the last of them takes the memory with it.

mod common;

use common::rig::{Rig, pool, stamped};
use common::valid::check_stamped;
use skbpool_nic::{CloseWhen, NicConfig, Stamp};
use skbpool_pool::Skb;

/// Times what `SKBPOOL_STRESS` says.
const CYCLES: u32 = 200;

/// How many of `addresses` lie in a pool's mapping.
fn mapped(addresses: &[usize]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let pools = maps.lines().filter(|line| line.contains("memfd:skbpool"));
    let ranges = pools.map(|line| {
        let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let (from, to) = range.expect("a range of addresses");
        let number = |text| usize::from_str_radix(text, 16).expect("hexadecimal");
        number(from)..number(to)
    });
    let ranges: Vec<_> = ranges.collect();
    addresses.iter().filter(|address| ranges.iter().any(|range| range.contains(address))).count()
}

/// Views of frames of 64 and of 9,216 bytes, and nothing else left of what brought them here.
fn received_and_detached(cycle: u32, size: u32) -> Vec<Skb> {
    let pool = pool(64);
    let close = [CloseWhen::Full, CloseWhen::Burst][cycle as usize % 2];
    let config = NicConfig { descriptors: 16, close, headroom: cycle % 80, ..NicConfig::default() };
    let mut rig = Rig::new(&pool, config, stamped(size), 64);
    let mut views = Vec::new();
    for _ in 0..4 {
        // More small frames than a buffer holds, so that one is full; less than a quota of large ones.
        rig.hardware.step(1000, if size == 64 { 70 } else { 3 }).unwrap();
        rig.rx.poll(16);
        views.extend(rig.take(usize::MAX));
    }
    // Whatever order they go in.
    let Rig { hardware, rx, consumer, hub, pool: handle, .. } = rig;
    match cycle % 3 {
        0 => drop((rx, hardware, consumer, hub, handle, pool)),
        1 => drop((hardware, rx, handle, pool, hub, consumer)),
        _ => {
            pool.close();
            drop((consumer, hub, pool, handle, hardware, rx));
        }
    }
    views
}

// The only test of this file, since another pool may be mapped where this one was.
#[test]
fn views_outlive_driver_hub_and_pool() {
    let times = std::env::var("SKBPOOL_STRESS").map_or(1, |times| times.parse().unwrap());
    let cycles: u32 = CYCLES * times;
    for cycle in 0..cycles {
        let size = [64, 9216][cycle as usize / 2 % 2];
        let views = received_and_detached(cycle, size);
        assert!(views.len() >= 2, "cycle {cycle}");
        let addresses: Vec<usize> = views.iter().map(|skb| skb.data().as_ptr().addr()).collect();
        for (sequence, skb) in views.iter().enumerate() {
            let bytes: Vec<u8> = skb.parts().collect::<Vec<_>>().concat();
            let sequence = sequence as u32;
            check_stamped(&bytes, Stamp { stream: 7, sequence, send_time_ns: 1000 });
        }
        // Released by another thread; the memory goes with the last view, wherever that lies.
        std::thread::spawn(move || {
            let mut views = views;
            let last = views.swap_remove(cycle as usize % views.len());
            drop(views);
            assert_eq!(mapped(&addresses), addresses.len(), "one view is left");
            drop(last);
            assert_eq!(mapped(&addresses), 0, "no view is left");
        })
        .join()
        .expect("every view is readable, and nothing stays mapped");
    }
    println!("cycles: {cycles}");
}
