//! What the verbs of the pool cost, on one core and from warm caches: nanoseconds of processor time an
//! operation, the median of five rounds and the range.
//!
//! ```text
//! cargo run --release -p skbpool-pool --example ops [-- NAME]
//! ```

use skbpool_pool::{Accounts, Buffer, HolderKind, Pool, SkbBatch};
use std::hint::black_box;

const ROUNDS: usize = 5;

/// Processor time of this thread in nanoseconds: what other programs take is not counted.
fn thread_time() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Calls `run` `times` times a round; each call does `operations` of what is named.
fn measure(name: &str, operations: u64, times: u64, mut run: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|only| only != name) {
        return;
    }
    for _ in 0..times / 10 {
        run();
    }
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = thread_time();
            for _ in 0..times {
                run();
            }
            (thread_time() - start) as f64 / (times * operations) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (least, median, most) = (rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]);
    println!("{name:<32} {median:8.2} ns   {least:8.2} .. {most:.2}");
}

fn main() {
    let pool = Pool::builder(4096).accounts(Accounts::new()).build().expect("16 MiB");
    let holder = pool.accounts().holder("bench", HolderKind::Consumer).expect("one holder");
    let mut cache = pool.local_cache();

    measure("alloc_free_1", 1, 5_000_000, || {
        let mut skb = cache.alloc().expect("free buffers").into_empty_skb();
        black_box(&mut skb);
        cache.release(skb);
    });
    measure("buffer_1", 1, 5_000_000, || {
        let mut buffer = cache.alloc().expect("free buffers");
        black_box(&mut buffer);
        cache.release_buffer(buffer);
    });
    let mut buffers = Vec::with_capacity(32);
    let mut batch = SkbBatch::with_capacity(64);
    measure("alloc_free_bulk32", 32, 500_000, || {
        cache.alloc_bulk(32, &mut buffers).expect("free buffers");
        batch.extend(buffers.drain(..).map(Buffer::into_empty_skb));
        black_box(&mut batch).release(&mut cache);
    });
    measure("alloc_free_loose", 1, 1_000_000, || {
        drop(black_box(pool.alloc().expect("free buffers").into_empty_skb()));
    });
    measure("alloc_batch_32", 32, 500_000, || {
        cache.alloc_batch(32, &mut batch).expect("free buffers");
        black_box(&mut batch).release(&mut cache);
    });
    let mut many = Vec::with_capacity(2048);
    measure("refill_and_flush", 2048, 5_000, || {
        cache.alloc_bulk(2048, &mut many).expect("free buffers");
        for buffer in many.drain(..) {
            cache.release_buffer(buffer);
        }
    });
    measure("refill_from_loose", 1024, 5_000, || {
        cache.flush();
        cache.alloc_bulk(1024, &mut many).expect("free buffers");
        many.clear();
    });
    let skb = cache.alloc().expect("free buffers").into_empty_skb();
    measure("clone_free_1", 1, 5_000_000, || {
        let mut clone = skb.clone_skb().expect("below the limit");
        black_box(&mut clone);
        cache.release(clone);
    });
    let second = skb.clone_skb().expect("below the limit");
    measure("clone_free_1_shared", 1, 5_000_000, || {
        let mut clone = skb.clone_skb().expect("below the limit");
        black_box(&mut clone);
        cache.release(clone);
    });
    drop((skb, second));
    let mut views_of_one_buffer = |name: &str, held: bool, measured: bool| {
        measure(name, 32, 500_000, || {
            let buffer = cache.alloc().expect("free buffers");
            let mut armed = buffer.arm(32).map_err(|(error, _)| error).expect("within the limit");
            let birth = if measured { skbpool_pool::clock::tick() } else { 0 };
            for view in 0..32 {
                let mut skb = armed.skb(view * 128, 64).expect("inside the buffer");
                skb.birth = birth;
                if held {
                    skb.set_holder(holder.id());
                }
                batch.push(skb);
            }
            if held {
                let bytes = batch.as_slice().iter().map(|skb| u64::from(skb.truesize())).sum();
                cache.shard().acquire(holder.id(), 32, bytes);
            }
            black_box(&mut batch).release(&mut cache);
        });
    };
    views_of_one_buffer("views_of_one_buffer_32", false, false);
    views_of_one_buffer("views_of_one_buffer_32_held", true, true);
    let buffer = cache.alloc().expect("free buffers");
    let mut armed = buffer.arm(32).map_err(|(error, _)| error).expect("within the limit");
    let views: SkbBatch =
        (0..32).map(|view| armed.skb(view * 128, 64).expect("inside the buffer")).collect();
    measure("clone_batch_32", 32, 500_000, || {
        views.clone_front_into(32, &mut batch).expect("below the limit");
        black_box(&mut batch).release(&mut cache);
    });
}
