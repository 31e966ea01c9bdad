//! Stamp readers that drivers run, what ends them, and free functions that run below.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skbpool_deliver::{ConsumerConfig, DriverConfig, DriverPort, Hub, HubStats, RunToCompletion};
use skbpool_engine::{Ingest, IngestConfig, StampConsumer};
use skbpool_pool::{LocalCache, SkbBatch, adopt};

use crate::stamps::stamped;
use crate::support::*;

/// Longer than anything here takes, if it ends at all.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn drivers_run_an_inline_reader_before_they_go_on() {
    let (pool, hub) = hub(8192);
    let mut reader = StampConsumer::attach_inline(&hub, "stamps", 7, 2048).unwrap();
    let send = |name: &str| {
        let mut ingest = Ingest::attach(&hub, name, IngestConfig::default()).unwrap();
        for _ in 0..20 {
            ingest.submit(&message(&stamped(7, 1000))).unwrap();
        }
    };
    send("alone");
    // Nobody was waited for: it is all read when the delivery returns.
    assert_eq!(reader.report().unwrap().stamps.received, 20_000);
    std::thread::scope(|scope| {
        scope.spawn(|| send("one"));
        scope.spawn(|| send("other"));
    });
    assert_eq!(reader.report().unwrap().stamps.received, 60_000);
    reader.stop();
    let mut ingest = Ingest::attach(&hub, "late", IngestConfig::default()).unwrap();
    ingest.submit(&message(&stamped(7, 10))).unwrap();
    let report = reader.close().unwrap();
    assert_eq!((report.stamps.received, report.consumer.queued), (60_000, 10));
    ingest.submit(&message(&stamped(7, 10))).unwrap();
    assert_eq!(ingest.stats().unclaimed, 10);
    drop(ingest);
    assert_all_home(&pool);
}

/// Memory that has something done when it is let go of.
struct Brought<F: FnOnce()>(Mutex<Option<F>>);

impl<F: FnOnce()> AsRef<[u8]> for Brought<F> {
    fn as_ref(&self) -> &[u8] {
        &[0; 60]
    }
}

impl<F: FnOnce()> Drop for Brought<F> {
    fn drop(&mut self) {
        if let Some(last) = self.0.get_mut().unwrap().take() {
            last();
        }
    }
}

/// A frame at whose end `last` is called.
fn frame_with(last: impl FnOnce() + Send + 'static) -> SkbBatch {
    let Ok(buffer) = adopt(Brought(Mutex::new(Some(last)))) else { unreachable!("60 bytes") };
    let mut batch = SkbBatch::new();
    batch.push(buffer.arm(1).unwrap().skb(0, 60).unwrap());
    batch
}

fn driver(hub: &Arc<Hub>, name: &str) -> DriverPort {
    hub.attach_driver(name, DriverConfig::default()).unwrap()
}

/// Frames that consumers took that are gone; nobody else is there.
fn taken_by_those_gone(stats: &HubStats) -> u64 {
    assert!(stats.consumers.is_empty(), "{:?}", stats.consumers);
    stats.detached_consumers.frames
}

/// A consumer whose driver stops within it.
#[derive(Debug)]
struct Gate {
    reached: Sender<()>,
    open: Mutex<Receiver<()>>,
}

impl RunToCompletion for Gate {
    fn run(&self, _cache: &mut LocalCache) {
        self.reached.send(()).unwrap();
        let _ = self.open.lock().unwrap().recv_timeout(LONG);
    }
}

#[test]
fn stopping_reads_what_no_driver_has_come_to() {
    let (pool, hub) = hub(2048);
    let (reached, is_reached) = channel();
    let (go_on, open) = channel();
    let gate = Arc::new(Gate { reached, open: open.into() });
    let config = ConsumerConfig { run: Some(gate), ..ConsumerConfig::with_quota(64) };
    let gate = hub.attach_consumer("before it", config).unwrap();
    let mut reader = StampConsumer::attach_inline(&hub, "stamps", 7, 256).unwrap();
    let mut ingest = Ingest::attach(&hub, "in", IngestConfig::default()).unwrap();
    let frames = message(&stamped(7, 100));
    let before = std::thread::scope(|scope| {
        scope.spawn(|| ingest.submit(&frames).unwrap());
        is_reached.recv_timeout(LONG).unwrap();
        let before = reader.report().unwrap();
        reader.stop();
        go_on.send(()).unwrap();
        before
    });
    assert_eq!((before.stamps.received, before.consumer.queued), (0, 100));
    let report = reader.close().unwrap();
    assert_eq!((report.stamps.received, report.consumer.queued), (100, 0));
    drop((gate, ingest));
    assert_all_home(&pool);
}

#[test]
fn it_is_detached_when_close_returns_whoever_runs_it() {
    let (pool, hub) = hub(2048);
    let (reached, is_reached) = channel();
    let (go_on, open) = channel::<()>();
    let reader = StampConsumer::attach_inline(&hub, "stamps", 7, 256).unwrap();
    let mut port = driver(&hub, "in");
    let mut batch = frame_with(move || {
        reached.send(()).unwrap();
        let _ = open.recv_timeout(LONG);
    });
    let (closed, is_closed) = channel();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| port.deliver(&mut batch, &mut pool.local_cache()));
        is_reached.recv_timeout(LONG).unwrap();
        // The driver releases what it read, and has the reader until that returns.
        scope.spawn(|| closed.send((reader.close().unwrap(), hub.stats())).unwrap());
        let result = is_closed.recv_timeout(LONG / 3);
        go_on.send(()).unwrap();
        result
    });
    let (report, stats) = result.expect("close does not wait for what is released");
    assert_eq!((report.consumer.frames, taken_by_those_gone(&stats)), (1, 1));
    drop(port);
    assert_all_home(&pool);
}

/// What the ledger of a daemon counts on.
#[test]
fn all_it_took_is_counted_when_it_is_closed() {
    let (pool, hub) = hub(8192);
    let done = AtomicBool::new(false);
    let frames = message(&stamped(7, 200));
    std::thread::scope(|scope| {
        for name in ["one", "other"] {
            let mut ingest = Ingest::attach(&hub, name, IngestConfig::default()).unwrap();
            let (frames, done) = (&frames, &done);
            scope.spawn(move || {
                // Relaxed: nothing depends on how fast it is seen.
                while !done.load(Ordering::Relaxed) {
                    ingest.submit(frames).unwrap();
                }
            });
        }
        let mut sum = 0;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..50 {
                let reader = StampConsumer::attach_inline(&hub, "stamps", 7, 1024).unwrap();
                while reader.report().unwrap().stamps.received == 0 {
                    std::thread::yield_now();
                }
                sum += reader.close().unwrap().consumer.frames;
                assert_eq!(taken_by_those_gone(&hub.stats()), sum);
            }
        }));
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    assert_all_home(&pool);
}

/// On a thread of its own: whoever would wait for itself does so for ever.
#[test]
fn a_free_function_may_deliver_to_the_reader_that_it_was_released_by() {
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        let (pool, hub) = hub(2048);
        let reader = StampConsumer::attach_inline(&hub, "stamps", 7, 256).unwrap();
        let mut port = driver(&hub, "outer");
        let mut inner = driver(&hub, "inner");
        let of_free = pool.clone();
        let mut batch = frame_with(move || {
            let mut cache = of_free.local_cache();
            inner.deliver(&mut frame_with(|| {}), &mut cache);
        });
        port.deliver(&mut batch, &mut pool.local_cache());
        assert_eq!(reader.close().unwrap().stamps.foreign, 2);
        drop(port);
        assert_all_home(&pool);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(LONG).expect("the delivery returns");
}

/// Detaching releases what is queued.
#[test]
fn a_free_function_may_deliver_while_the_reader_is_closed() {
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        let (pool, hub) = hub(2048);
        let mut reader = StampConsumer::attach_inline(&hub, "stamps", 7, 256).unwrap();
        reader.stop();
        let mut port = driver(&hub, "outer");
        let mut inner = driver(&hub, "inner");
        let of_free = pool.clone();
        let mut batch = frame_with(move || {
            let mut cache = of_free.local_cache();
            inner.deliver(&mut frame_with(|| {}), &mut cache);
        });
        port.deliver(&mut batch, &mut pool.local_cache());
        assert_eq!(reader.close().unwrap().consumer.queued, 1);
        drop(port);
        assert_all_home(&pool);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(LONG).expect("closing returns");
}
