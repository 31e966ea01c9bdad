//! Threads that allocate, share, pass on and release, and an audit after each run (I1, I2, I11).
//!
//! The work is bounded, not the time. `SKBPOOL_STRESS` multiplies it.
#![cfg(not(loom))]

use skbpool_pool::{
    Accounts, Audit, BufferSource, Free, LocalCache, Owner, Pool, Skb, SkbBatch, adopt_raw,
};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

const BUFFERS: u32 = 512;
const STEPS: u64 = 60_000;
const VIEWS: u32 = 4;
const VIEW_BYTES: u32 = 256;

/// Every view begins with this, so that whoever gets it can tell whether it is what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    thread: u64,
    step: u64,
    view: u64,
}

impl Stamp {
    const BYTES: usize = 32;

    fn check(&self) -> u64 {
        (self.thread << 48 ^ self.step << 8 ^ self.view).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn write(&self, into: &mut [u8]) {
        for (field, at) in [self.thread, self.step, self.view, self.check()].iter().zip(0..) {
            into[at * 8..][..8].copy_from_slice(&field.to_le_bytes());
        }
    }

    fn verify(bytes: &[u8]) -> Stamp {
        let field = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().unwrap());
        let stamp = Stamp { thread: field(0), step: field(1), view: field(2) };
        assert_eq!(field(3), stamp.check(), "{stamp:?} was overwritten while it was held");
        stamp
    }
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    verified: AtomicU64,
    exhausted: AtomicU64,
    adopted: AtomicU64,
    freed: AtomicU64,
}

struct Worker {
    number: u64,
    pool: Pool,
    /// Every third thread has none.
    cache: Option<LocalCache>,
    inbox: Receiver<SkbBatch>,
    next: Sender<SkbBatch>,
    counts: Arc<Counts>,
    kept: Vec<Skb>,
}

thread_local! {
    /// The core group that this thread pretends to run in.
    static GROUP: Cell<u32> = const { Cell::new(0) };
}

impl Worker {
    fn run(mut self, steps: u64) {
        GROUP.set(self.number as u32);
        for step in 0..steps {
            match self.cut(step) {
                Some(batch) => self.pass_on(step, batch),
                None => {
                    self.counts.exhausted.fetch_add(1, Ordering::Relaxed);
                    self.pool.reclaim();
                    self.kept.clear();
                    thread::yield_now();
                }
            }
            while let Ok(batch) = self.inbox.try_recv() {
                self.receive(batch);
            }
        }
        // What is parked here, others may be waiting for.
        drop(self.cache.take());
        self.kept.clear();
        drop(self.next);
        for batch in self.inbox {
            for skb in batch {
                verify(&skb, &self.counts);
            }
        }
    }

    /// A batch of views of one new buffer.
    fn cut(&mut self, step: u64) -> Option<SkbBatch> {
        let mut buffer = match &mut self.cache {
            Some(cache) => cache.buffer().ok()?,
            None => self.pool.alloc().ok()?,
        };
        let bytes = buffer.as_mut_slice().unwrap();
        for view in 0..VIEWS {
            let stamp = Stamp { thread: self.number, step, view: u64::from(view) };
            stamp.write(&mut bytes[(view * VIEW_BYTES) as usize..]);
        }
        let mut armed = buffer.arm(VIEWS).map_err(|(error, _)| error).unwrap();
        Some((0..VIEWS).map(|view| armed.skb(view * VIEW_BYTES, VIEW_BYTES).unwrap()).collect())
    }

    fn pass_on(&mut self, step: u64, mut batch: SkbBatch) {
        match step % 4 {
            0 => self.kept.push(batch.as_slice()[0].clone_skb().unwrap()),
            1 => {
                // A frame in two pieces, the second one in a buffer that is kept elsewhere.
                let mut frame = batch.pop().unwrap();
                if let Some(kept) = self.kept.pop() {
                    frame.append_frag(kept).unwrap();
                }
                batch.push(frame);
            }
            2 => batch.push(self.adopted(step)),
            _ => {
                let mut clones = SkbBatch::new();
                batch.clone_front_into(2, &mut clones).unwrap();
                self.receive(clones);
            }
        }
        self.counts.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if let Err(unsent) = self.next.send(batch) {
            self.receive(unsent.0);
        }
    }

    /// A view of memory of our own, whose free function counts.
    fn adopted(&self, step: u64) -> Skb {
        let mut memory = Box::new([0; Stamp::BYTES]);
        Stamp { thread: self.number, step, view: 99 }.write(&mut *memory);
        let data = NonNull::from(Box::leak(memory));
        self.counts.adopted.fetch_add(1, Ordering::Relaxed);
        let counts = Arc::clone(&self.counts);
        let free = Free::closure(move |memory| {
            counts.freed.fetch_add(1, Ordering::Relaxed);
            // SAFETY: leaked from this very box above, and freed once.
            drop(unsafe { Box::from_raw(memory.data.as_ptr().cast::<[u8; Stamp::BYTES]>()) });
        });
        // SAFETY: the memory is leaked until the free function is called.
        let buffer =
            unsafe { adopt_raw(data.cast(), Stamp::BYTES, false, free, Owner::nobody()) }.unwrap();
        buffer.into_skb(0..Stamp::BYTES as u32).map_err(|(error, _)| error).unwrap()
    }

    fn receive(&mut self, mut batch: SkbBatch) {
        batch.as_slice().iter().for_each(|skb| verify(skb, &self.counts));
        match &mut self.cache {
            Some(cache) => cache.release_batch(&mut batch),
            None => drop(batch),
        }
    }
}

fn verify(skb: &Skb, counts: &Counts) {
    for part in skb.parts() {
        Stamp::verify(part);
    }
    counts.verified.fetch_add(1, Ordering::Relaxed);
}

fn stress(threads: u64, depot_shards: u32) {
    let times = std::env::var("SKBPOOL_STRESS").map_or(1, |times| times.parse().unwrap());
    let steps = STEPS * times / threads;
    let pool = Pool::builder(BUFFERS)
        .accounts(Accounts::new())
        .depot_shards(depot_shards)
        .core_group(|| GROUP.get())
        .build()
        .unwrap();
    let counts = Arc::new(Counts::default());
    let (mut senders, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel()).unzip();
    // Each sends to the one behind it.
    senders.rotate_left(1);
    let workers: Vec<_> = senders
        .into_iter()
        .zip(inboxes)
        .zip(0..)
        .map(|((next, inbox), number)| Worker {
            number,
            pool: pool.clone(),
            cache: (number % 3 != 2).then(|| {
                GROUP.set(number as u32);
                pool.local_cache()
            }),
            inbox,
            next,
            counts: Arc::clone(&counts),
            kept: Vec::new(),
        })
        .map(|worker| thread::spawn(move || worker.run(steps)))
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{threads} threads, {depot_shards} shards, {steps} steps each: {} skbs sent, {} verified, {} times exhausted, \
         {} adopted, {} freed",
        read(&counts.sent),
        read(&counts.verified),
        read(&counts.exhausted),
        read(&counts.adopted),
        read(&counts.freed)
    );
    let audit = pool.audit().unwrap();
    assert_eq!(audit, Audit { free: BUFFERS, cached: 0, in_flight: 0, quarantined: 0 });
    let stats = pool.stats();
    assert_eq!(stats.violations, 0);
    assert_eq!(stats.alloc_fast + stats.alloc_slow, stats.releases, "what went out came home");
    assert_eq!(read(&counts.adopted), read(&counts.freed));
    assert!(read(&counts.verified) >= read(&counts.sent));
    assert!(stats.releases > 0);
}

#[test]
fn two_threads() {
    stress(2, 1);
}

#[test]
fn eight_threads() {
    stress(8, 1);
}

#[test]
fn thirty_two_threads() {
    stress(32, 1);
}

#[test]
fn two_core_groups() {
    stress(2, 2);
}

#[test]
fn four_core_groups_of_two_threads() {
    stress(8, 4);
}

#[test]
fn seven_core_groups_of_thirty_two_threads() {
    stress(32, 7);
}
