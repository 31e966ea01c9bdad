//! Prints what decoding and encoding cost a frame: `cargo run --release --example codec_cost`.

use std::hint::black_box;
use std::time::Instant;

use skbpool_wire::{BatchEncoder, BatchLimits, EncodeError, Frame, IngestRequestView, Pushed};

const ROUNDS: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:>6} {:>8} {:>9} {:>9} {:>9}", "bytes", "frames", "decode", "plan", "write");
    for size in [60, 508, 1514] {
        let payload = vec![0x5a; size];
        let frames = frames(&payload);
        let mut encoder = BatchEncoder::new(BatchLimits::new(1 << 20));
        let taken = plan(&mut encoder, &frames)?;
        let frames = &frames[..taken];
        let message = encoder.ingest_request(1, "")?;
        let mut memory = vec![0; message.encoded_len()];

        let planning = nanoseconds(taken, || plan(&mut encoder, black_box(frames)).map(drop))?;
        let writing = nanoseconds(taken, || message.write(black_box(frames), &mut memory))?;
        let decoding = nanoseconds(taken, || {
            let request = IngestRequestView::parse(black_box(&memory))?;
            let Some(batch) = request.batch else { return Ok(()) };
            let mut sum = 0;
            for frame in batch.frames() {
                sum += frame.timestamp_ns ^ frame.bytes.as_ptr().addr() as u64;
                sum ^= u64::from(frame.original_length) + frame.bytes.len() as u64;
            }
            black_box(sum);
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
        println!("{size:>6} {taken:>8} {decoding:>6.2} ns {planning:>6.2} ns {writing:>6.2} ns");
    }
    Ok(())
}

fn frames(payload: &[u8]) -> Vec<Frame<'_>> {
    let frame = |index: u64| Frame {
        bytes: payload,
        original_length: payload.len() as u32,
        timestamp_ns: 1_700_000_000_000_000_000 + 672 * index,
        link_type: 1,
        interface: 0,
    };
    (0..20_000).map(frame).collect()
}

fn plan(encoder: &mut BatchEncoder, frames: &[Frame<'_>]) -> Result<usize, EncodeError> {
    encoder.clear();
    for frame in frames {
        if encoder.push(frame)? != Pushed::Taken {
            break;
        }
    }
    Ok(encoder.len())
}

/// Runs `work` over `frames` frames several times; the nanoseconds a frame takes in the best run.
fn nanoseconds<E>(frames: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_nanos() as f64 / frames as f64);
    }
    Ok(best)
}
