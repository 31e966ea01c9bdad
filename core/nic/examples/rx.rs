//! Prints how many frames a second the receive loop moves on one core, bytes written.

use skbpool_nic::{CloseWhen, EmulatedNic, NicConfig, RxLoop, RxSink, TemplateSource};
use skbpool_pool::{Accounts, DropReason, HolderId, LocalCache, Pool, SkbBatch};
use std::time::Instant;

struct Release;

impl RxSink for Release {
    fn accept(&mut self, batch: &mut SkbBatch, cache: &mut LocalCache) {
        batch.release(cache);
    }
    fn count_drop(&mut self, _: DropReason, _: u64, _: u64) {}
    fn holder(&self) -> HolderId {
        HolderId::NONE
    }
}

fn main() {
    for size in [60usize, 1514] {
        let pool = Pool::builder(1024).order(2).accounts(Accounts::new()).build().unwrap();
        let config = NicConfig { descriptors: 64, close: CloseWhen::Full, ..NicConfig::default() };
        let source = TemplateSource::new(vec![0x55; size], 1);
        let (mut hardware, queue) = EmulatedNic::new(config, source, 0).unwrap();
        let mut rx = RxLoop::new(queue, pool.local_cache(), Release).unwrap();
        for _ in 0..5 {
            let begin = Instant::now();
            let mut frames = 0;
            while frames < 20_000_000 {
                hardware.step(0, 256).unwrap();
                frames += rx.poll(8).frames;
            }
            println!(
                "{size} bytes: {:.1} Mpps",
                frames as f64 / begin.elapsed().as_secs_f64() / 1e6
            );
        }
    }
}
