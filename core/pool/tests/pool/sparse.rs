//! Buffers that few views of many still pin.

use super::pool;
use skbpool_pool::{
    Accounts, Pool, Skb, SparseBuffer, SparseLimits, SparseReport, SparseScan, StartValues,
};

const ALL: SparseLimits = SparseLimits { one_in: 4, older_than: 0, listed: 100 };

/// Views of 32 bytes, `views` of them in one buffer.
fn views(pool: &Pool, views: u32) -> Vec<Skb> {
    let mut armed = pool.alloc().unwrap().arm(views).map_err(|(error, _)| error).unwrap();
    (0..views).map(|at| armed.skb(at * 32, 32).unwrap()).collect()
}

/// A 32-byte slice pinned 2 MiB (bytes 679): it still does, and is found.
#[test]
fn a_slice_of_32_bytes_that_pins_2_mib_is_found() {
    let pool = Pool::builder(4).order(9).name("large").accounts(Accounts::new()).build().unwrap();
    let mut scan = SparseScan::new(&pool);
    let mut held = views(&pool, 64);
    let slice = held[7].slice(8, 16).unwrap();
    assert_eq!(scan.scan(1, ALL).buffers, 0, "everybody is still there");
    held.clear();
    let report = scan.scan(11, ALL);
    let expected = SparseBuffer { index: 0, references: 1, armed: 64, pinned: 2 << 20, age: 10 };
    assert_eq!(report.listed, [expected]);
    assert_eq!((report.buffers, report.pinned, report.armed), (1, 2 << 20, 1));
    drop(slice);
    assert_eq!(scan.scan(12, ALL), Default::default());
}

#[test]
fn what_is_new_or_well_used_is_not_sparse() {
    let pool = pool(16);
    let mut scan = SparseScan::new(&pool);
    let limits = SparseLimits { older_than: 100, ..ALL };
    let mut old = views(&pool, 16);
    old.truncate(4);
    assert_eq!(scan.scan(1000, limits).buffers, 0, "seen for the first time");
    let mut new = views(&pool, 16);
    new.truncate(4);
    assert_eq!(scan.scan(1099, limits).buffers, 0);
    let report = scan.scan(1100, limits);
    assert_eq!((report.buffers, report.armed, report.listed[0].age), (1, 2, 100));
    assert_eq!(
        scan.scan(1199, limits).listed.iter().map(|b| b.age).collect::<Vec<_>>(),
        [199, 100]
    );
    // Five of 16 are more than a quarter.
    let clone = old[0].clone_skb().unwrap();
    assert_eq!(scan.scan(1199, limits).buffers, 1);
    drop((clone, old, new));
    assert_eq!(scan.scan(1300, limits).armed, 0);
    // The tick may wrap.
    let one = views(&pool, 8).swap_remove(0);
    assert_eq!(scan.scan(u32::MAX - 49, limits).buffers, 0);
    assert_eq!(scan.scan(50, limits).listed[0].age, 100);
    drop(one);
}

/// A buffer that came home and went out again begins anew, and what it was armed for then says nothing
/// about now: a posted buffer, one being filled, and an only view are not sparse.
#[test]
fn the_last_use_of_a_buffer_says_nothing_about_this_one() {
    for generation in [0, 254, 255, u32::MAX] {
        let start = StartValues { generation, ..StartValues::default() };
        let pool = Pool::builder(1).start_at(start).accounts(Accounts::new()).build().unwrap();
        let mut scan = SparseScan::new(&pool);
        let mut cache = pool.local_cache();
        let old = views(&pool, 64).swap_remove(0);
        assert_eq!(scan.scan(1, ALL).buffers, 1);
        cache.release(old);
        let posted = cache.alloc().unwrap();
        assert_eq!(posted.header().armed(), 0);
        assert_eq!(scan.scan(2, ALL), Default::default());
        let mut filling = posted.fill().map_err(|(error, _)| error).unwrap();
        let first = filling.cut(0, 32, 0).unwrap();
        let rest: Vec<Skb> = (0..7).map(|_| filling.cut(0, 32, 0).unwrap()).collect();
        assert_eq!(scan.scan(3, ALL), Default::default(), "it is being filled");
        filling.finish(&mut cache);
        drop(rest);
        let report = scan.scan(4, ALL);
        assert_eq!((report.listed[0].references, report.listed[0].armed), (1, 8));
        assert_eq!(report.listed[0].age, 0, "in this use it is seen for the first time");
        cache.release(first);
        let again = views_of_cache(&mut cache);
        assert_eq!(scan.scan(9, ALL).listed[0].age, 0);
        assert_eq!(scan.scan(19, ALL).listed[0].age, 10);
        drop(again);
    }
}

fn views_of_cache(cache: &mut skbpool_pool::LocalCache) -> Skb {
    let mut armed = cache.alloc().unwrap().arm(8).map_err(|(error, _)| error).unwrap();
    armed.skb(0, 32).unwrap()
}

#[test]
fn the_oldest_are_listed_and_the_others_counted() {
    let pool = pool(64);
    let mut scan = SparseScan::new(&pool);
    let mut held = Vec::new();
    for now in 1..=20 {
        held.push(views(&pool, 8).swap_remove(0));
        scan.scan(now, ALL);
    }
    let report = scan.scan(21, SparseLimits { listed: 3, ..ALL });
    assert_eq!(report.listed.iter().map(|buffer| buffer.age).collect::<Vec<_>>(), [20, 19, 18]);
    assert_eq!((report.buffers, report.pinned), (20, 20 * 4096));
}

/// Scans while others work: nothing is disturbed, and what is really sparse is found each time.
#[test]
fn scanning_while_everything_runs() {
    let pool = pool(64);
    let pinned = views(&pool, 32).swap_remove(5);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut cache = pool.local_cache();
                for _ in 0..20_000 {
                    let Ok(buffer) = cache.alloc() else { continue };
                    let mut armed = buffer.arm(8).map_err(|(error, _)| error).unwrap();
                    let skbs: Vec<Skb> = (0..8).map(|at| armed.skb(at * 64, 64).unwrap()).collect();
                    skbs.into_iter().for_each(|skb| cache.release(skb));
                }
                // Relaxed: a flag to stop by.
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            let mut scan = SparseScan::new(&pool);
            let mut now = 1;
            // Relaxed: as above.
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let report = scan.scan(now, ALL);
                let found = report.listed.iter().find(|buffer| buffer.armed == 32);
                assert_eq!(found.map(|buffer| (buffer.references, buffer.age)), Some((1, now - 1)));
                assert!(report.buffers as usize == report.listed.len() && report.armed <= 64);
                now += 1;
            }
        });
    });
    drop(pinned);
    super::assert_all_home(&pool);
}

/// Ticks wrap after 4.9 hours; who leaks for longer stays the oldest.
#[test]
fn ages_do_not_wrap() {
    let pool = Pool::builder(4).build().unwrap();
    let mut scan = SparseScan::new(&pool);
    let view = || pool.alloc().unwrap().arm(64).unwrap().skb(0, 32).unwrap();
    let limits = SparseLimits::default();
    let ages = |report: SparseReport| report.listed.iter().map(|it| it.age).collect::<Vec<_>>();
    let old = view();
    assert_eq!(ages(scan.scan(1001, limits)), []);
    assert_eq!(ages(scan.scan(300_001, limits)), [299_000]);
    let young = view();
    assert_eq!(ages(scan.scan(u32::MAX, limits)), [u32::MAX - 1001]);
    assert_eq!(ages(scan.scan(1011, limits)), [u32::MAX - 1]);
    assert_eq!(ages(scan.scan(500_000, limits)), [u32::MAX - 1, 500_001]);
    drop((old, young));
}
