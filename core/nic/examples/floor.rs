//! Prints how many 64-byte frames a second go from an emulated card to a consumer in this process.
//!
//! Stamped frames are written into pool buffers, cut into skbs, delivered through the hub, and
//! touched by a consumer that reads each one's headers and stamp. Nothing is dropped: at `max` the
//! line waits while the consumer has its hands full.
//!
//! `floor [ROUNDS] [SECONDS] [RATE]`, by default three rounds of one second at `max`. One JSON line a
//! round and a way: `in_process_64` with the consumer on a thread of its own, `single_core_64` with
//! everything in one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use skbpool_deliver::{Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub};
use skbpool_nic::{
    CloseWhen, EmulatedNic, Hardware, NicConfig, Rate, RxLoop, SequenceTracker, Stamp,
    StampedTraffic, TrafficConfig,
};
use skbpool_pool::clock::monotonic_ns;
use skbpool_pool::{Accounts, LocalCache, Pool, SkbBatch};

/// Frames the hardware receives in one step, which fill four buffers of 4 KiB.
const BURST: u32 = 256;
const BUFFERS: u32 = 4;
const DESCRIPTORS: u32 = 64;
/// Views the consumer may hold, and how many it may have ahead of it when the driver takes more.
const QUOTA: u32 = 8192;
const AHEAD: u64 = QUOTA as u64 - 2 * BURST as u64;

type Error = Box<dyn std::error::Error>;

/// The card with its driver.
struct Card {
    hardware: Hardware<StampedTraffic>,
    rx: RxLoop<DriverPort>,
}

/// Reads what every skb of a batch begins with, and releases it.
struct Reader {
    consumer: Consumer,
    cache: LocalCache,
    batch: SkbBatch,
    sequence: SequenceTracker,
    foreign: u64,
}

impl Reader {
    fn read(&mut self) -> u64 {
        let frames = self.consumer.poll(&mut self.batch, 1024) as u64;
        for skb in &self.batch {
            match Stamp::of_frame(skb.data()) {
                Some(stamp) => drop(self.sequence.observe(stamp.sequence)),
                None => self.foreign += 1,
            }
        }
        self.cache.release_batch(&mut self.batch);
        frames
    }
}

fn set_up(rate: Rate, seconds: f64) -> Result<(Pool, Card, Reader), Error> {
    let pool = Pool::builder(16_384).accounts(Accounts::new()).build()?;
    let hub = Hub::new(pool.clone());
    let buffers = DESCRIPTORS + pool.cache_capacity();
    let port = hub.attach_driver("card", DriverConfig::with_buffers(buffers))?;
    let consumer = hub.attach_consumer("reader", ConsumerConfig::with_quota(QUOTA))?;
    let reader = Reader {
        consumer,
        cache: pool.local_cache(),
        batch: SkbBatch::new(),
        sequence: SequenceTracker::starting_at(0),
        foreign: 0,
    };
    let config = NicConfig {
        descriptors: DESCRIPTORS,
        rate,
        close: CloseWhen::After(20_000),
        duration_ns: Some((seconds * 1e9) as u64),
        ..NicConfig::default()
    };
    let source = StampedTraffic::new(TrafficConfig::default())?;
    let (hardware, queue) = EmulatedNic::new(config, source, monotonic_ns())?;
    let rx = RxLoop::new(queue, pool.local_cache(), port)?;
    Ok((pool, Card { hardware, rx }, reader))
}

/// The consumer on a thread of its own.
fn in_process(card: &mut Card, reader: &mut Reader) -> Result<(), Error> {
    let (read, over) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (told, over) = (Arc::clone(&read), &over);
        scope.spawn(move || {
            let mut total = 0;
            loop {
                // SYNC: Acquire pairs with the Release below: the last frames are in the ring.
                let last = over.load(Ordering::Acquire);
                match reader.read() {
                    0 if last => return,
                    0 => std::thread::yield_now(),
                    frames => {
                        total += frames;
                        // Relaxed: a hint to the driver.
                        told.store(total, Ordering::Relaxed);
                    }
                }
            }
        });
        let mut sent = 0;
        let result = loop {
            if let Err(error) = card.hardware.step(monotonic_ns(), BURST) {
                break Err(error.into());
            }
            if sent - read.load(Ordering::Relaxed) > AHEAD {
                std::thread::yield_now();
                continue;
            }
            sent += card.rx.poll(BUFFERS).frames;
            if card.rx.is_finished() {
                break Ok(());
            }
        };
        // SYNC: Release pairs with the Acquire above.
        over.store(true, Ordering::Release);
        result
    })
}

/// Everything in one thread.
fn single_core(card: &mut Card, reader: &mut Reader) -> Result<(), Error> {
    loop {
        card.hardware.step(monotonic_ns(), BURST)?;
        card.rx.poll(BUFFERS);
        reader.read();
        if card.rx.is_finished() {
            while reader.read() != 0 {}
            return Ok(());
        }
    }
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let rounds: u32 = argument("3").parse()?;
    let seconds: f64 = argument("1").parse()?;
    let rate: Rate = argument("max").parse()?;
    type Way = fn(&mut Card, &mut Reader) -> Result<(), Error>;
    let ways: [(&str, Way); 2] = [("in_process_64", in_process), ("single_core_64", single_core)];
    for _ in 0..rounds {
        for (what, run) in ways {
            let (_pool, mut card, mut reader) = set_up(rate, seconds)?;
            let begin = Instant::now();
            run(&mut card, &mut reader)?;
            let took = begin.elapsed().as_secs_f64();
            let received = reader.sequence.unique();
            let missed = reader.consumer.stats().dropped;
            let drops = card.rx.sink().stats().dropped.into_iter().chain(missed);
            let dropped: u64 = drops.map(|drop| drop.frames).sum();
            let offered = card.hardware.stats().offered;
            let lost = offered - dropped - received;
            assert_eq!((reader.foreign, reader.sequence.duplicated()), (0, 0));
            let speed = (received as f64 / took) as u64;
            println!(
                "{{\"what\":\"{what}\",\"frames_per_second\":{speed},\"received\":{received},\
                 \"lost\":{lost},\"dropped\":{dropped}}}"
            );
        }
    }
    Ok(())
}
