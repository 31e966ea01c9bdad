//! What a pool counts.

use super::pool;

#[test]
fn one_allocation_of_each_refill_is_slow() {
    let pool = pool(4096);
    let mut cache = pool.local_cache();
    let mut held = Vec::new();
    cache.alloc_bulk(130, &mut held).unwrap();
    let stats = pool.stats();
    assert_eq!((stats.refills, stats.alloc_slow, stats.alloc_fast), (3, 3, 127));
    held.push(cache.alloc().unwrap());
    held.push(pool.alloc().unwrap());
    let stats = pool.stats();
    assert_eq!((stats.alloc_slow, stats.alloc_fast), (4, 128));
    cache.flush();
    held.push(cache.alloc().unwrap());
    assert_eq!(pool.stats().alloc_slow, 5);
}
