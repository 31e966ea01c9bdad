//! Prints what ingest costs a frame in processor time: 60 bytes and 1514 bytes in memory, messages of
//! 64 KiB and 1 MiB, without a consumer, with a stamp consumer in a thread of its own, and with one
//! that the ingesting thread runs.
//!
//!     cargo run --release -p skbpool-engine --example ingest_cost [PART OF A LINE]

use std::sync::Arc;

use skbpool_deliver::Hub;
use skbpool_engine::{FrameComposer, Ingest, IngestConfig, StampConsumer, StampConsumerError};
use skbpool_nic::{StampedTraffic, TrafficConfig};
use skbpool_pool::{Pool, clock};
use skbpool_wire::Frame;

type Attach = fn(&Arc<Hub>, &str, u32, u32) -> Result<StampConsumer, StampConsumerError>;

const FRAMES: usize = 20_000_000;
const BYTES_OF_SET: u64 = 2 << 20;

/// Messages of together 2 MiB, so that they stay in a cache as those do that a server has just
/// received.
fn messages(max_bytes: usize, frame_size: u32) -> Vec<(Arc<[u8]>, usize)> {
    let config = TrafficConfig { frame_size, ..TrafficConfig::default() };
    let mut traffic = StampedTraffic::new(config).expect("a frame size within the range");
    let mut composer = FrameComposer::new(max_bytes, "");
    let mut bytes = vec![0; traffic.len()];
    let mut messages = Vec::new();
    let mut frames = 0;
    for index in 0..BYTES_OF_SET / u64::from(frame_size) {
        traffic.write_frame(&mut bytes, clock::monotonic_ns());
        let frame = Frame {
            bytes: &bytes,
            original_length: bytes.len() as u32,
            timestamp_ns: 1_700_000_000_000_000_000 + 672 * index,
            link_type: 1,
            interface: 0,
        };
        let full = composer.push(&frame).expect("a frame that fits");
        if let Some(message) = full {
            messages.push((message.into(), frames));
            frames = 0;
        }
        frames += 1;
    }
    messages
}

fn measure(what: &str, max_bytes: usize, frame_size: u32, reader: Option<Attach>, in_place: bool) {
    if std::env::args().nth(1).is_some_and(|wanted| !what.contains(&wanted)) {
        return;
    }
    let pool = Pool::builder(8192).build().expect("a pool");
    let hub = Hub::new(pool.clone());
    let mut ingest = Ingest::attach(&hub, "bench", IngestConfig::default()).expect("room");
    let reader = reader.map(|attach| attach(&hub, "stamps", 1, 4096).expect("room"));
    let messages = messages(max_bytes, frame_size);
    let (mut frames, started) = (0, cpu_ns());
    'all: loop {
        for (message, count) in &messages {
            if in_place {
                let buffer = skbpool_pool::adopt(Arc::clone(message)).expect("a small message");
                ingest.submit_adopted(message, buffer).0.expect("a valid message");
            } else {
                ingest.submit(message).expect("a valid message");
            }
            frames += count;
            if frames >= FRAMES {
                break 'all;
            }
        }
    }
    let ns = (cpu_ns() - started) as f64 / frames as f64;
    let stats = ingest.stats();
    let seen = reader.and_then(StampConsumer::close);
    print!("{what:<30} {ns:6.2} ns/frame, {} frames, unclaimed {}", stats.frames, stats.unclaimed);
    if let Some(seen) = seen {
        let missed: u64 = seen.consumer.dropped.iter().map(|count| count.frames).sum();
        print!(", read {}, missed {missed}", seen.stamps.received);
    }
    println!(", dropped {:?}", stats.dropped);
}

/// Processor time of this thread, which other programs do not add to.
fn cpu_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn main() {
    for (name, bytes) in [("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
        for size in [64, 1518] {
            measure(&format!("{name}, {size} B, no consumer"), bytes, size, None, false);
            let attach: Attach = StampConsumer::attach;
            measure(&format!("{name}, {size} B, stamp reader"), bytes, size, Some(attach), false);
            let attach: Attach = StampConsumer::attach_inline;
            measure(&format!("{name}, {size} B, inline reader"), bytes, size, Some(attach), false);
            measure(&format!("{name}, {size} B, adopted, inline"), bytes, size, Some(attach), true);
        }
    }
}
