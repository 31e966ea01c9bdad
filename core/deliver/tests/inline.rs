//! Consumers that are run by whoever delivers, alone and beside one that drivers wait for. No test here
//! asserts a time.

mod common;

use common::{check_edge, check_edges, check_home, hub, numbered, numbers};
use skbpool_deliver::{
    Consumer, ConsumerConfig, DriverConfig, DriverPort, Hub, Policy, RunToCompletion,
};
use skbpool_pool::{LocalCache, SkbBatch};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(3);

/// Notes the numbers of all frames.
#[derive(Debug, Default)]
struct Reader {
    consumer: Mutex<Option<Consumer>>,
    seen: Mutex<Vec<u64>>,
}

impl Reader {
    fn attach(hub: &Arc<Hub>, quota: u32, policy: Policy) -> Arc<Self> {
        let reader = Arc::<Self>::default();
        let run = Arc::clone(&reader) as Arc<dyn RunToCompletion>;
        let config = ConsumerConfig { run: Some(run), policy, ..ConsumerConfig::with_quota(quota) };
        *reader.consumer.lock().unwrap() = Some(hub.attach_consumer("inline", config).unwrap());
        reader
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }

    /// Detaches it, and lets go of what refers to itself.
    fn close(&self) {
        let consumer = self.consumer.lock().unwrap().take().unwrap();
        check_edge(&consumer.stats());
    }
}

impl RunToCompletion for Reader {
    fn run(&self, cache: &mut LocalCache) {
        let mut batch = SkbBatch::new();
        if let Some(consumer) = &mut *self.consumer.lock().unwrap() {
            while consumer.poll(&mut batch, 64) != 0 {}
        }
        self.seen.lock().unwrap().extend(numbers(&batch));
        batch.release(cache);
    }
}

fn driver(hub: &Arc<Hub>, may_block: Duration) -> DriverPort {
    hub.attach_driver("nic", DriverConfig { may_block, ..DriverConfig::default() }).unwrap()
}

#[test]
fn everything_is_read_when_the_delivery_returns() {
    let hub = hub(64);
    let reader = Reader::attach(&hub, 8, Policy::DropNewest);
    let mut cache = hub.pool().local_cache();
    let mut port = driver(&hub, Duration::ZERO);
    for first in (0..80).step_by(8) {
        let mut batch = numbered(&mut cache, first..first + 8);
        assert_eq!(port.deliver(&mut batch, &mut cache).missed, 0);
    }
    assert_eq!(reader.seen(), (0..80).collect::<Vec<_>>());
    reader.close();
    drop((port, cache));
    check_edges(&hub);
    check_home(hub.pool());
}

/// Whoever is waited for costs the others nothing.
#[test]
fn it_is_run_before_the_driver_waits_for_another() {
    let hub = hub(128);
    let config =
        ConsumerConfig { policy: Policy::Block { at_most: LONG }, ..ConsumerConfig::with_quota(4) };
    let mut slow = hub.attach_consumer("slow", config).unwrap();
    let reader = Reader::attach(&hub, 64, Policy::DropNewest);
    let mut port = driver(&hub, LONG);
    let (seen, delivered) = std::thread::scope(|scope| {
        let driver = scope.spawn(|| {
            let mut cache = hub.pool().local_cache();
            port.deliver(&mut numbered(&mut cache, 0..8), &mut cache)
        });
        while slow.stats().waits == 0 && !driver.is_finished() {
            std::thread::yield_now();
        }
        let seen = reader.seen();
        let mut taken = SkbBatch::new();
        while slow.stats().frames < 8 && !driver.is_finished() {
            slow.poll(&mut taken, 4);
            drop(std::mem::take(&mut taken));
        }
        (seen, driver.join().unwrap())
    });
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
    assert_eq!((delivered.published, delivered.missed), (16, 0));
    reader.close();
    drop((port, slow));
    check_edges(&hub);
    check_home(hub.pool());
}

/// The driver would wait for itself.
#[test]
fn it_makes_the_room_that_the_driver_waits_for() {
    let hub = hub(64);
    let reader = Reader::attach(&hub, 4, Policy::Block { at_most: SHORT });
    let mut cache = hub.pool().local_cache();
    let mut port = driver(&hub, SHORT);
    let delivered = port.deliver(&mut numbered(&mut cache, 0..18), &mut cache);
    assert_eq!((delivered.published, delivered.missed), (18, 0));
    assert_eq!(reader.seen(), (0..18).collect::<Vec<_>>());
    let waits = hub.stats().consumers[0].waits;
    assert_eq!(waits, 0);
    reader.close();
    drop((port, cache));
    check_edges(&hub);
    check_home(hub.pool());
}
