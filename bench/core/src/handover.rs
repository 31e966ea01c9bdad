//! Frames from one core to the other, written there and read here: through pool, hub and local caches,
//! and through a bare ring, which is what moving the bytes costs.
//!
//! Millions of frames a second of wall-clock time, since two threads wait for each other: in the best
//! window of some milliseconds, when both cores were theirs.

use crate::measure::{Failure, Settings, pin};
use skbpool_deliver::{ConsumerConfig, DriverConfig, Hub, Ring};
use skbpool_pool::{RxFrame, SkbBatch};
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Windows are this long, which is 50 times as long as draining a full ring takes.
const WINDOW: Duration = Duration::from_millis(4);

/// Bytes of a frame: a cache line.
const FRAME: usize = 64;
type Frame = [u8; FRAME];
/// Frames handed over at once, and most that are on the way.
const BATCH: usize = 256;
const AHEAD: u32 = 4096;
/// Frames of a buffer, which they fill.
const VIEWS: u32 = 64;
/// Looks at an idle ring before the core is offered to others.
const SPINS: u32 = 200;

/// Waits a moment, spinning first.
struct Patience(u32);

impl Patience {
    #[inline]
    fn wait(&mut self) {
        if self.0 < SPINS {
            self.0 += 1;
            std::hint::spin_loop();
        } else {
            self.0 = 0;
            std::thread::yield_now();
        }
    }
}

#[inline(always)]
fn frame(number: u64) -> Frame {
    let mut frame = [0x55; FRAME];
    frame[..8].copy_from_slice(&number.to_ne_bytes());
    frame
}

/// Reads all of a frame; answers whether it is that one.
#[inline(always)]
fn is_frame(bytes: &[u8], number: u64) -> bool {
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    let all = bytes.chunks_exact(8).map(word).fold(0, u64::wrapping_add);
    black_box(all);
    bytes
        .first_chunk()
        .is_some_and(|first| *first == number.to_ne_bytes())
}

/// Counts what is read, window by window.
struct Meter {
    since: Instant,
    before: u64,
    best: f64,
}

impl Meter {
    /// `total` frames were read so far.
    #[inline]
    fn look(&mut self, total: u64) {
        let took = self.since.elapsed();
        if took >= WINDOW {
            self.best = self
                .best
                .max((total - self.before) as f64 / took.as_secs_f64() / 1e6);
            (self.since, self.before) = (Instant::now(), total);
        }
    }
}

/// Runs `write`, which returns how many frames it wrote until told to stop, beside `read`, which is
/// told when no more will come. Returns millions of frames a second.
fn two_cores(
    settings: &Settings,
    write: impl FnOnce(&dyn Fn() -> bool) -> Result<u64, Failure> + Send,
    read: impl FnOnce(&dyn Fn() -> bool, &mut Meter) -> Result<u64, Failure>,
) -> Result<f64, Failure> {
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let mut meter = Meter {
        since: start,
        before: 0,
        best: 0.0,
    };
    let length = Duration::from_secs_f64(settings.seconds);
    let (written, received) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let written =
                pin(settings.cores[0]).and_then(|()| write(&|| start.elapsed() >= length));
            // SYNC: Release pairs with the Acquire below: what was written is in the ring.
            over.store(true, Ordering::Release);
            written
        });
        let received = pin(settings.cores[1]).and_then(|()| {
            // SYNC: Acquire pairs with the Release above.
            read(&|| over.load(Ordering::Acquire), &mut meter)
        });
        let written = writer.join().map_err(|_| "the writer panicked")?;
        Ok::<_, Failure>((written?, received?))
    })?;
    if written != received {
        return Err(format!("{written} frames were written and {received} read").into());
    }
    Ok(meter.best)
}

/// Through the hub, 64 frames a buffer.
pub fn handover_64(settings: &Settings) -> Result<f64, Failure> {
    // Admission counts a quota in whole buffers.
    let pool = settings.pool(AHEAD + 1024, 0)?;
    let hub = Hub::new(pool.clone());
    let mut consumer = hub.attach_consumer("reader", ConsumerConfig::with_quota(AHEAD))?;
    let mut driver = hub.attach_driver("writer", DriverConfig::with_buffers(512))?;
    let read_so_far = AtomicU64::new(0);
    two_cores(
        settings,
        |over| {
            let (mut cache, mut batch) = (pool.local_cache(), SkbBatch::with_capacity(BATCH));
            let (mut sent, mut room, mut patience) = (0, u64::from(AHEAD), Patience(0));
            // A receive loop finds these in its descriptors.
            let mut places = [RxFrame::default(); VIEWS as usize];
            let (len, end, link_type) = (FRAME as u32, FRAME as u32, 1);
            let first = RxFrame {
                len,
                end,
                original_length: len,
                link_type,
                ..RxFrame::default()
            };
            first.repeat(&mut places, len);
            while !over() {
                while sent + BATCH as u64 > room {
                    // SYNC: Acquire pairs with the Release of the reader: its views are released.
                    room = read_so_far.load(Ordering::Acquire) + u64::from(AHEAD);
                    patience.wait();
                }
                for _ in 0..BATCH as u32 / VIEWS {
                    let mut buffer = cache.alloc()?;
                    for place in buffer.as_mut_slice()?.chunks_exact_mut(FRAME) {
                        place.copy_from_slice(&frame(sent));
                        sent += 1;
                    }
                    let mut armed = buffer.arm(VIEWS).map_err(|(error, _)| error)?;
                    if armed.skbs_of(&places, 0, &mut batch).0 != places.len() {
                        return Err("the frames do not fit their buffer".into());
                    }
                }
                if driver.deliver(&mut batch, &mut cache).missed != 0 {
                    return Err("the reader missed frames".into());
                }
            }
            Ok(sent)
        },
        |over, meter| {
            let (mut cache, mut batch) = (pool.local_cache(), SkbBatch::with_capacity(BATCH));
            let (mut next, mut patience) = (0, Patience(0));
            loop {
                let last = over();
                meter.look(next);
                if consumer.poll(&mut batch, BATCH) == 0 {
                    if last {
                        return Ok(next);
                    }
                    patience.wait();
                    continue;
                }
                for skb in &batch {
                    if !is_frame(skb.data(), next) {
                        return Err(format!("frame {next} did not come").into());
                    }
                    next += 1;
                }
                batch.release(&mut cache);
                // SYNC: Release pairs with the Acquire of the writer.
                read_so_far.store(next, Ordering::Release);
            }
        },
    )
}

/// Where frames lie that are handed over by their place, twice as many as are ever on the way.
struct Frames(NonNull<Frame>);

// SAFETY: a place is written before its number enters the ring and read after it left it.
unsafe impl Sync for Frames {}

impl Frames {
    const COUNT: u64 = 2 * AHEAD as u64;

    /// # Safety
    /// - The memory is there, and nobody else touches the place of frame `number`.
    #[inline(always)]
    unsafe fn place(&self, number: u64) -> NonNull<Frame> {
        // SAFETY: the remainder lies within.
        unsafe { self.0.add((number % Self::COUNT) as usize) }
    }
}

/// The same frames, written and read where they lie, with nothing but their 8-byte handles in a ring: no
/// counts, no accounts, nobody who allocates or releases.
pub fn bare_ring_64(settings: &Settings) -> Result<f64, Failure> {
    let (mut enqueue, mut dequeue) = Ring::channel(AHEAD, 0)?;
    let order = (Frames::COUNT * FRAME as u64 / 4096).trailing_zeros() as u8;
    let mut memory = settings.pool(1, order)?.alloc()?;
    let frames = Frames(NonNull::from(memory.as_mut_slice()?).cast());
    let frames = &frames;
    two_cores(
        settings,
        move |over| {
            let (mut sent, mut patience) = (0, Patience(0));
            while !over() {
                while enqueue.room(BATCH as u32) < BATCH as u32 {
                    patience.wait();
                }
                for number in sent..sent + BATCH as u64 {
                    // SAFETY: the reader is done with the frame that was there: of the frames since then,
                    // the ring holds half at most, and the reader has one batch in hand.
                    unsafe { frames.place(number).write(frame(number)) };
                }
                let mut handles = sent..sent + BATCH as u64;
                sent += u64::from(enqueue.enqueue(&mut handles, BATCH as u32));
            }
            Ok(sent)
        },
        |over, meter| {
            let (mut next, mut handles, mut patience) = (0, Vec::new(), Patience(0));
            loop {
                let last = over();
                meter.look(next);
                if dequeue.dequeue(&mut handles, BATCH as u32) == 0 {
                    if last {
                        return Ok(next);
                    }
                    patience.wait();
                }
                for handle in handles.drain(..) {
                    // SAFETY: the writer wrote it before its handle came, and leaves it alone until this
                    // batch is read.
                    if !is_frame(unsafe { frames.place(handle).as_ref() }, next) {
                        return Err(format!("frame {next} did not come").into());
                    }
                    next += 1;
                }
            }
        },
    )
}
