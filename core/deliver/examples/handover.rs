//! How many 64-byte frames a second one driver hands to one consumer on another thread.
//!
//! The driver writes every frame's bytes into a pool buffer, 32 frames a buffer, cuts the views and
//! delivers them; the consumer reads each frame's Ethernet header and releases whole batches. The
//! driver waits for room when the consumer is behind, so nothing is missed and the slower of the two
//! is what is measured. Payload bytes are written once and copied nowhere. On a machine with other
//! work to do, the CPU time of each side says more than the rate.
//!
//! ```text
//! cargo run --release -p skbpool-deliver --example handover
//! ```

use rustix::time::{ClockId, clock_gettime};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub};
use skbpool_pool::{Pool, SkbBatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const FRAMES_A_ROUND: u64 = 16 << 20;
const ROUNDS: u32 = 5;
const FRAME: usize = 64;
const VIEWS: u32 = 32;
const QUOTA: u32 = 4096;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::builder(QUOTA + 1024).build()?;
    let hub = Hub::new(pool);
    for round in 1..=ROUNDS {
        let Handover { seconds, writer_cpu, reader_cpu, missed } = handover(&hub)?;
        let frames = FRAMES_A_ROUND as f64;
        println!(
            "round {round}: {:.1} million frames a second, {missed} missed; \
             CPU a frame: writer {:.1} ns, reader {:.1} ns",
            frames / seconds / 1e6,
            writer_cpu / frames * 1e9,
            reader_cpu / frames * 1e9,
        );
    }
    Ok(())
}

/// What one round took, in seconds.
struct Handover {
    seconds: f64,
    writer_cpu: f64,
    reader_cpu: f64,
    missed: u64,
}

/// Seconds of CPU this thread has used.
fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Moves one round's frames.
fn handover(hub: &Arc<Hub>) -> Result<Handover, Box<dyn std::error::Error>> {
    let mut consumer = hub.attach_consumer("reader", ConsumerConfig::with_quota(QUOTA))?;
    let mut driver = hub.attach_driver("writer", DriverConfig { buffers: 512 })?;
    let released = AtomicU64::new(0);
    let started = Instant::now();
    let (writer_cpu, reader_cpu, missed) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let before = cpu();
            let mut cache = hub.pool().local_cache();
            let mut batch = SkbBatch::with_capacity(VIEWS as usize);
            let mut frame = [0u8; FRAME];
            frame[12..14].copy_from_slice(&[0x08, 0x00]);
            let (mut sent, mut room, mut missed) = (0, u64::from(QUOTA), 0);
            while sent < FRAMES_A_ROUND {
                while sent + u64::from(VIEWS) > room {
                    room = released.load(Ordering::Acquire) + u64::from(QUOTA);
                    std::thread::yield_now();
                }
                let mut buffer = cache.alloc().expect("the reader holds at most its quota");
                let bytes = buffer.as_mut_slice().expect("pool memory is writable");
                for slot in bytes.chunks_exact_mut(FRAME).take(VIEWS as usize) {
                    frame[..8].copy_from_slice(&sent.to_be_bytes());
                    slot.copy_from_slice(&frame);
                    sent += 1;
                }
                let mut armed = buffer.arm(VIEWS).expect("within the limit");
                for at in 0..VIEWS {
                    batch.push(armed.skb(at * FRAME as u32, FRAME as u32).expect("armed for it"));
                }
                missed += driver.deliver(&mut batch, &mut cache).missed;
            }
            (cpu() - before, missed)
        });
        let before = cpu();
        let mut cache = hub.pool().local_cache();
        let mut batch = SkbBatch::with_capacity(256);
        let mut next = 0u64;
        while next < FRAMES_A_ROUND {
            if consumer.poll(&mut batch, 256) == 0 {
                std::thread::yield_now();
                continue;
            }
            for skb in batch.as_slice() {
                let (number, ethertype) = (&skb.data()[..8], &skb.data()[12..14]);
                assert_eq!((number, ethertype), (&next.to_be_bytes()[..], &[8, 0][..]));
                next += 1;
            }
            batch.release(&mut cache);
            released.store(next, Ordering::Release);
        }
        let reader_cpu = cpu() - before;
        let (writer_cpu, missed) = writer.join().expect("the writer does not panic");
        (writer_cpu, reader_cpu, missed)
    });
    Ok(Handover { seconds: started.elapsed().as_secs_f64(), writer_cpu, reader_cpu, missed })
}
