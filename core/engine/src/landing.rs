//! Frames of a message landing in pool buffers: copied once, many frames to a buffer (S3).

use skbpool_deliver::{Delivered, DriverPort, Drops};
use skbpool_pool::{
    AllocError, Armed, Buffer, CopyStage, DropReason, Fill, LocalCache, Pool, RxFrame, Skb,
    SkbBatch, clock,
};
use skbpool_wire::{Frame, FrameBatchView, Frames};

use crate::frame::describe;

/// Frames at which a burst ends with its last buffer: enough to spread the cost of a delivery, few enough that
/// a consumer on another core works on a message while the rest of it lands.
pub const BURST_FRAMES: usize = 256;

/// Frames at which a burst ends inside a buffer; buffers of order 3 and above hold that many.
const MOST_FRAMES: usize = 2 * BURST_FRAMES;

/// Most buffers that wait for delivery.
const BURST_BUFFERS: u32 = 32;

/// Frames begin on cache lines, so that no two consumers write to one, and a frame of up to 64 bytes
/// is one fixed-size copy.
const SLOT: usize = 64;

/// Lands batches in buffers of one pool and hands them to a driver's port.
pub(crate) struct Landing {
    port: DriverPort,
    cache: LocalCache,
    batch: SkbBatch,
    /// Buffers that `batch` has views of.
    buffers: u32,
    most_buffers: u32,
    buffer_bytes: u32,
    /// Where the end of a message lands while the pool is low, if one small buffer holds it.
    small: Option<LocalCache>,
    /// Frames and bytes of the message being landed that found no buffer.
    lost: (u64, u64),
    /// What consumers missed of all messages.
    missed: Drops,
    /// Buffers of the chain being built; empty in between.
    chain: Vec<Buffer>,
}

/// Frames that found no buffer.
#[derive(Clone, Copy)]
struct Missing {
    reason: DropReason,
    frames: u64,
    bytes: u64,
}

impl Landing {
    /// Buffers that landing in `pool` takes at worst, for frames of up to `max_frame_bytes` bytes.
    pub(crate) fn worst_case(pool: &Pool, max_frame_bytes: u32) -> u32 {
        let chain = max_frame_bytes.div_ceil(pool.buffer_bytes());
        pool.cache_capacity() + burst_buffers(pool).max(chain)
    }

    pub(crate) fn new(port: DriverPort, pool: &Pool) -> Self {
        Self {
            port,
            cache: pool.local_cache(),
            batch: SkbBatch::with_capacity(MOST_FRAMES),
            buffers: 0,
            most_buffers: burst_buffers(pool),
            buffer_bytes: pool.buffer_bytes(),
            small: None,
            lost: (0, 0),
            missed: Drops::default(),
            chain: Vec::new(),
        }
    }

    pub(crate) fn land_small_in(&mut self, small: Option<&Pool>) {
        self.small = small.map(Pool::local_cache);
    }

    pub(crate) fn port(&self) -> &DriverPort {
        &self.port
    }

    /// Lands and delivers every frame of `view`, whose interface fits an skb. Never waits: frames for
    /// which there is no buffer are dropped and counted.
    ///
    /// Costs one copy of each byte, one skb written a frame, one buffer taken and one atomic
    /// subtraction for as many frames as fit a buffer; the clock is read once.
    pub(crate) fn land(&mut self, view: &FrameBatchView<'_>) {
        let birth = clock::tick();
        let mut frames = view.frames();
        let mut rest = view.bytes();
        while let Some(large) = self.land_small(&mut frames, &mut rest, birth) {
            rest = &rest[large.bytes.len()..];
            self.land_chain(&large, birth);
        }
        self.deliver();
        let (frames, bytes) = std::mem::take(&mut self.lost);
        let (frames, bytes) = (view.len() as u64 - frames, view.bytes().len() as u64 - bytes);
        self.cache.shard().count_copy(CopyStage::Land, frames, bytes);
        if self.cache.pool().is_closed() {
            self.cache.flush();
        }
    }

    /// Lands frames up to the first that does not fit a buffer, which is returned. `rest` is what the
    /// message has from the next frame on.
    fn land_small<'a>(
        &mut self,
        frames: &mut Frames<'_, 'a>,
        rest: &mut &'a [u8],
        birth: u32,
    ) -> Option<Frame<'a>> {
        let size = self.buffer_bytes as usize;
        let mut fill: Option<Fill> = None;
        let mut missing: Option<Missing> = None;
        // Bytes left in the buffer, or in the one that would have been it.
        let mut room = 0;
        let large = loop {
            let Some(frame) = frames.next() else { break None };
            let len = frame.bytes.len();
            if len > size {
                break Some(frame);
            }
            // An empty frame takes a slot too, so that views are bounded by buffers.
            let slot = len.max(1).next_multiple_of(SLOT);
            if slot > room {
                self.close(fill.take(), missing.take());
                room = size;
                // What is left takes at most its bytes and a slot a frame.
                match self.open(rest.len() + SLOT * (frames.len() + 1)) {
                    Ok(opened) => {
                        room = opened.room() as usize;
                        fill = Some(opened);
                    }
                    Err(reason) => missing = Some(Missing { reason, frames: 0, bytes: 0 }),
                }
            }
            room -= slot;
            let source = *rest;
            *rest = &source[len..];
            if let Some(fill) = &mut fill {
                copy(fill.tail_mut(), source, len);
                let to = self.next_place();
                // There is room for the slot, so this does not fail.
                if let Ok(mut skb) = fill.cut(0, len as u32, (slot - len) as u32) {
                    describe(&mut skb, &frame, birth);
                    // SAFETY: the place is the one behind the last skb, within capacity, and is
                    // initialised before it counts.
                    unsafe {
                        to.write(skb);
                        let skbs = self.batch.as_mut_vec();
                        skbs.set_len(skbs.len() + 1);
                    }
                }
            } else if let Some(missing) = &mut missing {
                missing.frames += 1;
                missing.bytes += len as u64;
            }
        };
        self.close(fill, missing);
        large
    }

    /// The place behind the last skb of the batch.
    ///
    /// It is made before the skb is, so that nothing stands between the two that may unwind: then the
    /// compiler writes the fields where they belong. Through [`Vec::push`] they are first put together
    /// on the stack, and reading them back in wide words costs as much as everything else on the way.
    #[inline(always)]
    fn next_place(&mut self) -> *mut Skb {
        if self.batch.len() >= MOST_FRAMES {
            self.deliver();
        }
        let skbs = self.batch.as_mut_vec();
        if skbs.len() == skbs.capacity() {
            skbs.reserve(MOST_FRAMES);
        }
        // SAFETY: the capacity exceeds the length.
        unsafe { skbs.as_mut_ptr().add(skbs.len()) }
    }

    /// A buffer to fill, of which at most `left` bytes are needed; delivers first what waits, if that is
    /// enough for a burst.
    #[inline]
    fn open(&mut self, left: usize) -> Result<Fill, DropReason> {
        if self.batch.len() >= BURST_FRAMES || self.buffers >= self.most_buffers {
            self.deliver();
        }
        if let Some(fill) = self.open_small(left) {
            return Ok(fill);
        }
        let buffer = match self.cache.alloc() {
            Ok(buffer) => buffer,
            Err(error) => self.alloc_again(error)?,
        };
        self.buffers += 1;
        // Pool memory is writable.
        buffer.fill().map_err(|_| DropReason::PoolEmpty)
    }

    /// A small buffer for `left` bytes, if it holds them, the pool is low, and there is one.
    #[inline]
    fn open_small(&mut self, left: usize) -> Option<Fill> {
        let small = self.small.as_mut()?;
        let pool = self.cache.pool();
        let fits = left <= small.pool().buffer_bytes() as usize;
        if !fits || !pool.is_low() || pool.is_closed() {
            return None;
        }
        let fill = small.alloc().ok()?.fill().ok()?;
        self.buffers += 1;
        Some(fill)
    }

    /// Delivers what waits, since frames that nobody takes give their buffers back, and tries again.
    #[cold]
    fn alloc_again(&mut self, error: AllocError) -> Result<Buffer, DropReason> {
        if self.batch.is_empty() {
            return Err(reason(error));
        }
        self.deliver();
        self.cache.alloc().map_err(reason)
    }

    /// Ends the filling of a buffer, or counts the frames that had none.
    #[inline]
    fn close(&mut self, fill: Option<Fill>, missing: Option<Missing>) {
        if let Some(fill) = fill {
            fill.finish(&mut self.cache);
        }
        if let Some(Missing { reason, frames, bytes }) = missing {
            self.lose(reason, frames, bytes);
        }
    }

    /// Counts frames that found no buffer.
    #[cold]
    fn lose(&mut self, reason: DropReason, frames: u64, bytes: u64) {
        self.port.count_drop(reason, frames, bytes);
        self.lost.0 += frames;
        self.lost.1 += bytes;
    }

    /// Lands one frame that is larger than a buffer, in as many as it takes: all or none.
    #[cold]
    fn land_chain(&mut self, frame: &Frame<'_>, birth: u32) {
        let needed = frame.bytes.len().div_ceil(self.buffer_bytes as usize);
        self.deliver();
        if let Err(error) = self.cache.alloc_bulk(needed, &mut self.chain) {
            return self.lose(reason(error), 1, frame.bytes.len() as u64);
        }
        let parts = frame.bytes.chunks(self.buffer_bytes as usize);
        let mut whole: Option<Skb> = None;
        for (buffer, part) in self.chain.drain(..).zip(parts) {
            // Neither of these fails: the memory is a pool's, the part fits, and frames are far below
            // the length that a chain can have.
            let Some(skb) = part_of_chain(buffer, part) else { continue };
            match &mut whole {
                None => whole = Some(skb),
                Some(front) => drop(front.append_frag(skb)),
            }
        }
        if let Some(mut skb) = whole {
            describe(&mut skb, frame, birth);
            self.batch.push(skb);
            self.buffers += needed as u32;
        }
    }

    /// Cuts views of `frames` of a buffer and puts them behind those that wait; returns how many wait now.
    #[inline]
    pub(crate) fn cut(&mut self, armed: &mut Armed, frames: &[RxFrame], birth: u32) -> usize {
        armed.skbs_of(frames, birth, &mut self.batch);
        self.batch.len()
    }

    /// Whether a consumer takes frames out of the process.
    pub(crate) fn serves_outside(&mut self) -> bool {
        self.port.serves_outside()
    }

    #[inline]
    pub(crate) fn deliver(&mut self) {
        self.buffers = 0;
        let delivered = self.port.deliver(&mut self.batch, &mut self.cache);
        if delivered.missed != 0 || delivered.evicted != 0 {
            self.note_missed(&delivered);
        }
    }

    #[cold]
    fn note_missed(&mut self, delivered: &Delivered) {
        // What was dropped because the hub is closed was nobody's: the driver's own figures have it.
        if delivered.missed != 0 {
            self.missed.add_all(&delivered.drops);
        }
        self.missed.add(DropReason::Evicted, delivered.evicted, delivered.evicted_bytes);
    }

    /// What consumers missed of all that was landed, each consumer's frames by themselves.
    pub(crate) fn missed(&self) -> &Drops {
        &self.missed
    }
}

/// Most buffers that wait for delivery: a magazine's worth in small pools.
fn burst_buffers(pool: &Pool) -> u32 {
    (pool.cache_capacity() / 4).clamp(1, BURST_BUFFERS)
}

fn part_of_chain(mut buffer: Buffer, part: &[u8]) -> Option<Skb> {
    buffer.as_mut_slice().ok()?[..part.len()].copy_from_slice(part);
    buffer.into_skb(0..part.len() as u32).ok()
}

/// Copies `len` bytes from the start of `source` to the start of `target`, which has room for `len`
/// rounded up to whole slots.
#[inline(always)]
fn copy(target: &mut [u8], source: &[u8], len: usize) {
    match (target.first_chunk_mut::<SLOT>(), source.first_chunk::<SLOT>()) {
        // What comes along behind the frame lands in its own slot, and is of the same message.
        (Some(target), Some(source)) if len <= SLOT => *target = *source,
        _ => target[..len].copy_from_slice(&source[..len]),
    }
}

fn reason(error: AllocError) -> DropReason {
    match error {
        AllocError::Exhausted { .. } => DropReason::PoolEmpty,
        AllocError::Closed | AllocError::ForkedPool => DropReason::Closed,
    }
}
