//! The receive loop on one core: the emulated card and its driver take turns, every skb is released
//! at once. Beside testpmd with its null driver.
//!
//! Frames go through the descriptor ring: the card packs them into posted buffers and completes these;
//! the driver first allocates a replacement, then wraps (S4), and posts.

use crate::measure::{Failure, Settings, thread_ns};
use skbpool_nic::{
    CloseWhen, EmulatedNic, FrameMeta, FrameSource, NicConfig, RxLoop, RxSink, SlotSize,
    SourceError,
};
use skbpool_pool::{DropReason, HolderId, LocalCache, SkbBatch};

/// LINKTYPE_ETHERNET.
const ETHERNET: u16 = 1;

/// Endless frames of `SIZE` bytes: copies of a template, or, not `WRITTEN`, nothing but descriptors.
struct Frames<const SIZE: usize, const WRITTEN: bool> {
    template: [u8; SIZE],
}

impl<const SIZE: usize, const WRITTEN: bool> Frames<SIZE, WRITTEN> {
    fn meta(now_ns: u64) -> FrameMeta {
        FrameMeta {
            len: SIZE as u32,
            original_length: SIZE as u32,
            timestamp_ns: now_ns,
            link_type: ETHERNET,
            interface: 0,
        }
    }
}

impl<const SIZE: usize, const WRITTEN: bool> FrameSource for Frames<SIZE, WRITTEN> {
    #[inline]
    fn peek_len(&mut self) -> Result<Option<u32>, SourceError> {
        Ok(Some(SIZE as u32))
    }

    #[inline(always)]
    fn write_next(
        &mut self,
        out: &mut [u8],
        now_ns: u64,
    ) -> Result<Option<FrameMeta>, SourceError> {
        if WRITTEN {
            match out.first_chunk_mut() {
                Some(frame) => *frame = self.template,
                // Buffers here hold whole frames.
                None => return Ok(None),
            }
        }
        Ok(Some(Self::meta(now_ns)))
    }

    #[inline(always)]
    fn write_alike(
        &mut self,
        memory: &mut [u8],
        slots: SlotSize,
        now_ns: u64,
    ) -> Option<FrameMeta> {
        if WRITTEN {
            for out in slots.frames(memory) {
                *out.first_chunk_mut()? = self.template;
            }
        }
        Some(Self::meta(now_ns))
    }

    fn write_rest(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn is_live(&self) -> bool {
        true
    }

    fn is_uniform(&self) -> bool {
        true
    }

    fn skip(&mut self, frames: u64) -> Result<u64, SourceError> {
        Ok(frames)
    }
}

/// Releases what it is handed.
#[derive(Default)]
struct Release {
    dropped: u64,
}

impl RxSink for Release {
    #[inline]
    fn accept(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache) {
        batch.release(cache);
    }

    fn count_drop(&mut self, _: DropReason, frames: u64, _: u64) {
        self.dropped += frames;
    }

    fn holder(&self) -> HolderId {
        HolderId::NONE
    }
}

/// 64 bytes in memory, written.
pub fn rx_64_written(settings: &Settings) -> Result<f64, Failure> {
    receive::<64, true>(settings)
}

/// 1518 bytes in memory, written.
pub fn rx_1518_written(settings: &Settings) -> Result<f64, Failure> {
    receive::<1518, true>(settings)
}

/// 64 bytes in memory that nobody writes.
pub fn rx_64(settings: &Settings) -> Result<f64, Failure> {
    receive::<64, false>(settings)
}

/// Frames between two turns of the driver.
const BURST: u32 = 256;
/// Posted buffers, of 4096 << `ORDER` bytes: a ring that stays in the core's second cache.
const DESCRIPTORS: u32 = 4;
const ORDER: u8 = 4;

/// Millions of frames a second of processor time.
fn receive<const SIZE: usize, const WRITTEN: bool>(settings: &Settings) -> Result<f64, Failure> {
    let pool = settings.pool(1024, ORDER)?;
    let config = NicConfig {
        descriptors: DESCRIPTORS,
        close: CloseWhen::Full,
        ..NicConfig::default()
    };
    let source = Frames::<SIZE, WRITTEN> {
        template: [0x55; SIZE],
    };
    let (mut hardware, queue) = EmulatedNic::new(config, source, 0)?;
    let mut rx = RxLoop::new(queue, pool.local_cache(), Release::default())?;
    let mut turns = |length_ns: u64| {
        let (start, mut frames) = (thread_ns(), 0);
        loop {
            for _ in 0..64 {
                hardware.step(0, BURST)?;
                frames += rx.poll(DESCRIPTORS).frames;
            }
            let took = thread_ns() - start;
            if took >= length_ns {
                return Ok::<f64, Failure>(frames as f64 * 1e3 / took as f64);
            }
        }
    };
    turns((settings.seconds * 1e8) as u64)?;
    let rate = turns((settings.seconds * 1e9) as u64)?;
    match rx.sink().dropped {
        0 => Ok(rate),
        dropped => Err(format!("{dropped} frames were dropped").into()),
    }
}
