//! Leak provenance: what is out is reported by where it was allocated.

use super::{assert_all_home, pool};
use skbpool_pool::{
    Accounts, Buffer, HolderKind, LeakReport, LeakSite, LocalCache, Pool, Provenance, Share, Site,
    SkbBatch, StartValues, TransitionKind,
};
use std::ops::Range;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const EXAMPLES: usize = 8;

fn report(pool: &Pool) -> LeakReport {
    pool.leak_report(Duration::ZERO, EXAMPLES)
}

/// Three sites that take turns; the middle one leaks one in a hundred.
fn planted_leak(cache: &mut LocalCache, turns: u32) -> (Vec<Buffer>, u32) {
    let (mut leaked, mut line) = (Vec::new(), 0);
    for turn in 0..turns {
        let first = cache.alloc().unwrap();
        let second = cache.alloc().unwrap();
        line = line!() - 1;
        let third = cache.alloc().unwrap();
        if turn % 100 == 0 {
            leaked.push(second);
        } else {
            cache.release_buffer(second);
        }
        cache.release_buffer(first);
        cache.release_buffer(third);
    }
    (leaked, line)
}

#[test]
fn full_mode_names_the_site_that_leaks_and_every_buffer() {
    let pool = pool(256);
    pool.set_provenance(Provenance::Full);
    let mut cache = pool.local_cache();
    let (leaked, line) = planted_leak(&mut cache, 1000);
    let report = report(&pool);
    let [site] = &report.sites[..] else { panic!("{report}") };
    assert_eq!((site.site.file.as_str(), site.site.line), (file!(), line));
    assert_eq!((site.count, site.estimate, site.bytes), (10, 10, 10 * 4096));
    assert_eq!((site.holder.as_ref(), site.examples.len()), (None, EXAMPLES));
    let indices: Vec<_> = leaked.iter().map(|buffer| buffer.header().index().unwrap()).collect();
    assert!(site.examples.iter().all(|example| indices.contains(&example.index)));
    let table = report.to_string();
    assert!(table.contains(&format!("{}:{line}, nobody named", file!())), "{table}");
    drop(leaked);
    assert!(self::report(&pool).sites.is_empty());
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn sampled_mode_names_the_site_that_leaks() {
    let pool = pool(8192);
    pool.set_provenance(Provenance::Sampled { every: 16 });
    let mut cache = pool.local_cache();
    let (leaked, line) = planted_leak(&mut cache, 200_000);
    let report = report(&pool);
    let [site] = &report.sites[..] else { panic!("{report}") };
    assert_eq!((site.site.file.as_str(), site.site.line), (file!(), line));
    assert_eq!(site.estimate, 16 * site.count);
    // 2,000 leaked, each recorded with probability 1/16: twelve standard deviations.
    assert!((1500..2500).contains(&site.estimate), "{report}");
    drop(leaked);
}

#[test]
fn bulks_refills_and_calls_without_a_cache_are_recorded_too() {
    let pool = pool(512);
    pool.set_provenance(Provenance::Full);
    let mut cache = pool.local_cache();
    let (mut bulk, mut batch, mut free) = (Vec::new(), SkbBatch::new(), pool.free_buffers(4));
    cache.alloc_bulk(150, &mut bulk).unwrap();
    cache.alloc_batch(150, &mut batch).unwrap();
    let loose = pool.alloc().unwrap();
    cache.get_bulk(2, &mut free).unwrap();
    let popped = [free.pop().unwrap(), free.pop().unwrap()];
    let counts: Vec<u64> = report(&pool).sites.iter().map(|site| site.count).collect();
    assert_eq!(counts, [150, 150, 2, 1]);
    drop((loose, popped, bulk, batch));
    assert!(report(&pool).sites.is_empty());
}

/// A cache that only allocates meets a refill at each 64th allocation, which no count of its own tells.
#[test]
fn the_allocation_of_each_refill_is_sampled() {
    let pool = pool(4096);
    pool.set_provenance(Provenance::Sampled { every: 64 });
    let mut cache = pool.local_cache();
    let mut held = Vec::new();
    for _ in 0..64 * 2000 {
        if cache.cached() == 0 {
            held.clear();
            cache.flush();
            held.push(cache.alloc().unwrap());
            if !report(&pool).sites.is_empty() {
                return;
            }
        } else {
            held.push(cache.alloc().unwrap());
        }
        if held.len() == 64 {
            held.clear();
        }
    }
    panic!("2,000 refills, none recorded");
}

#[test]
fn switching_takes_effect_at_run_time_and_keeps_what_is_out() {
    let pool = pool(64);
    let mut cache = pool.local_cache();
    let before = cache.alloc().unwrap();
    assert_eq!(pool.provenance(), Provenance::DEFAULT);
    pool.set_provenance(Provenance::Off);
    assert!(report(&pool).sites.is_empty());
    pool.set_provenance(Provenance::Full);
    let recorded = cache.alloc().unwrap();
    assert_eq!(report(&pool).sites[0].examples[0].index, recorded.header().index().unwrap());
    pool.set_provenance(Provenance::Sampled { every: 1000 });
    assert_eq!(pool.provenance(), Provenance::Sampled { every: 1024 });
    pool.set_provenance(Provenance::Off);
    let after = cache.alloc().unwrap();
    assert_eq!(report(&pool).sites.iter().map(|site| site.count).sum::<u64>(), 1);
    cache.release_buffer(recorded);
    assert!(report(&pool).sites.is_empty());
    drop((before, after));
    drop(cache);
    assert_all_home(&pool);
}

#[test]
fn a_cache_that_only_releases_heeds_the_switch() {
    let pool = pool(8);
    let mut cache = pool.local_cache();
    pool.set_provenance(Provenance::Full);
    let (buffer, idle) = (pool.alloc().unwrap(), pool.alloc().unwrap());
    let mut batch: SkbBatch = [buffer.into_empty_skb()].into_iter().collect();
    let kept = batch.as_slice()[0].clone_skb().unwrap();
    cache.release_buffer(idle);
    cache.release_batch(&mut batch);
    let report = report(&pool);
    let kinds = report.sites[0].examples[0].transitions.iter().map(|transition| transition.kind);
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds, [TransitionKind::Cloned, TransitionKind::Released], "{report}");
    drop(kept);
}

#[test]
fn a_stale_record_is_never_reported_and_generations_wrap() {
    for generation in [0, u32::MAX - 3] {
        let start = StartValues { generation, counter: u64::MAX - 3, ..StartValues::default() };
        let pool = Pool::builder(1).accounts(Accounts::new()).start_at(start).build().unwrap();
        let mut cache = pool.local_cache();
        for turn in 0..8u32 {
            pool.set_provenance(Provenance::Full);
            let recorded = cache.alloc().unwrap();
            let report = report(&pool);
            let example = &report.sites[0].examples[0];
            // The cache allocated and released twice in each turn.
            assert_eq!(example.generation, generation.wrapping_add(2 * turn));
            cache.release_buffer(recorded);
            pool.set_provenance(Provenance::Off);
            let unrecorded = cache.alloc().unwrap();
            assert!(self::report(&pool).sites.is_empty(), "{}", self::report(&pool));
            cache.release_buffer(unrecorded);
        }
    }
}

#[test]
fn a_buffers_way_is_told() {
    let pool = pool(8);
    pool.set_provenance(Provenance::Full);
    let accounts = pool.accounts();
    let driver = accounts.holder("eth0", HolderKind::Driver).unwrap();
    let tap = accounts.holder("tap", HolderKind::Consumer).unwrap();
    let mut cache = pool.local_cache();
    cache.set_allocates_for(driver.id());
    let posted = cache.alloc().unwrap();
    let mut armed = cache.alloc().unwrap().arm(3).map_err(|(error, _)| error).unwrap();
    let mut batch: SkbBatch = (0..3).map(|view| armed.skb(view * 64, 64).unwrap()).collect();
    for skb in batch.as_mut_slice() {
        skb.hand_to(tap.id(), cache.shard());
    }
    let clone = batch.as_slice()[0].clone_skb().unwrap();
    let last = batch.pop().unwrap();
    cache.release(batch.pop().unwrap());
    drop(last);
    let report = report(&pool);
    let of = |name: &str| {
        report
            .sites
            .iter()
            .find(|site| site.holder.as_ref().is_some_and(|holder| holder.name == name))
            .unwrap_or_else(|| panic!("{report}"))
    };
    assert!(of("eth0").examples[0].transitions.is_empty());
    let example = &of("tap").examples[0];
    assert_eq!((example.armed, example.references), (3, 2));
    let told: Vec<_> = example
        .transitions
        .iter()
        .map(|transition| {
            let holder = transition.holder.as_ref().map(|holder| holder.name.clone());
            (transition.kind, transition.views, holder)
        })
        .collect();
    let tap_name = Some("tap".to_owned());
    assert_eq!(example.forgotten, 1, "six transitions, and five are kept");
    use TransitionKind::{Cloned, Delivered, Released};
    let expected = [
        (Delivered, 1, tap_name.clone()),
        (Delivered, 1, tap_name.clone()),
        (Cloned, 1, None),
        (Released, 1, tap_name.clone()),
        (Released, 1, tap_name),
    ];
    assert_eq!(told, expected, "{report}");
    drop((posted, clone));
}

#[test]
fn a_caller_may_name_the_site_and_the_holder() {
    let pool = pool(8);
    let tap = pool.accounts().holder("tap", HolderKind::Process).unwrap();
    let named = || Site { file: "app.py".to_owned(), line: 7, function: "main".to_owned() };
    let before = pool.alloc().unwrap();
    assert!(!Pool::name_origin(&before, tap.id(), || panic!("not recorded")));
    pool.set_provenance(Provenance::Full);
    let buffer = pool.alloc().unwrap();
    assert!(Pool::name_origin(&buffer, tap.id(), named));
    let LeakSite { site, holder, .. } = report(&pool).sites.remove(0);
    assert_eq!((site, holder.unwrap().name), (named(), "tap".to_owned()));
    assert_eq!(tap.held(), (0, 0), "nobody is charged");
    // The same buffer again, not recorded, still says that it might be.
    drop(buffer);
    pool.set_provenance(Provenance::Off);
    let held: Vec<_> = (0..7).map(|_| pool.alloc().unwrap()).collect();
    for buffer in &held {
        assert!(!Pool::name_origin(buffer, tap.id(), || panic!("not recorded any more")));
    }
}

#[test]
fn the_limit_on_age() {
    let pool = pool(8);
    pool.set_provenance(Provenance::Full);
    let _held = pool.alloc().unwrap();
    assert!(pool.leak_report(Duration::from_secs(3600), 1).sites.is_empty());
    let report = pool.leak_report(Duration::ZERO, 0);
    assert_eq!((report.sites[0].count, report.sites[0].examples.len()), (1, 0));
}

/// So that the threads end also if the test fails.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn reports_run_beside_four_threads() {
    let pool = pool(512);
    let (stop, mut reported) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut cache = pool.local_cache();
                let mut batch = SkbBatch::new();
                while !stop.load(Ordering::Relaxed) {
                    if cache.alloc_batch(7, &mut batch).is_err() {
                        continue;
                    }
                    let clone = batch.as_slice()[3].clone_skb().unwrap();
                    cache.release_batch(&mut batch);
                    drop(clone);
                }
            });
        }
        let modes = [Provenance::Full, Provenance::Sampled { every: 32 }, Provenance::Off];
        let _stop = StopAtTheEnd(&stop);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut round = 0;
        while round < 600 || (reported == 0 && Instant::now() < deadline) {
            round += 1;
            pool.set_provenance(modes[round / 10 % 3]);
            for site in report(&pool).sites {
                assert_eq!(site.site.file, file!());
                assert!(site.count <= 512 && site.oldest < Duration::from_secs(3600));
                for example in site.examples {
                    reported += 1;
                    assert!(example.references != 0 && example.index < 512);
                    assert!(example.transitions.iter().all(|t| t.holder.is_none()));
                }
            }
        }
    });
    assert!(reported > 0, "no buffer was ever out in a report");
    assert!(report(&pool).sites.is_empty(), "all came home before this report");
    assert_all_home(&pool);
}

/// Getting bare objects takes over the call that a switch makes; allocations after it are recorded.
#[test]
fn a_cache_that_gets_bare_objects_heeds_the_switch() {
    let pool = pool(1024);
    let mut cache = pool.local_cache();
    let mut bare = pool.free_buffers(8);
    pool.set_provenance(Provenance::Full);
    cache.get_bulk(1, &mut bare).unwrap();
    let held: Vec<Buffer> = (0..10).map(|_| cache.alloc().unwrap()).collect();
    assert_eq!(report(&pool).sites.iter().map(|site| site.count).sum::<u64>(), 10);
    drop((held, bare, cache));
    assert_all_home(&pool);
}

/// Kinds and views of the transitions of the only recorded buffer.
fn transitions(pool: &Pool) -> Vec<(TransitionKind, u32)> {
    let report = report(pool);
    let [site] = &report.sites[..] else { panic!("{report}") };
    site.examples[0].transitions.iter().map(|it| (it.kind, it.views)).collect()
}

#[test]
fn slices_and_clones_of_a_batch_are_logged() {
    let pool = pool(16);
    pool.set_provenance(Provenance::Full);
    let mut batch = SkbBatch::new();
    batch.push(pool.alloc().unwrap().into_skb(0..64).map_err(|(error, _)| error).unwrap());
    let slice = batch.as_slice()[0].slice(8, 4).unwrap();
    assert_eq!(transitions(&pool), [(TransitionKind::Cloned, 1)]);
    batch.push(slice);
    let mut clones = SkbBatch::new();
    batch.clone_front_into(2, &mut clones).unwrap();
    assert_eq!(transitions(&pool), [(TransitionKind::Cloned, 1), (TransitionKind::Cloned, 2)]);
    drop((batch, clones));
    assert_all_home(&pool);
}

/// Views beyond the first of each frame are clones, whoever gets the originals, and frames that nobody
/// wants are released.
#[test]
fn a_fan_out_logs_clones_and_what_nobody_wants() {
    use TransitionKind::{Cloned, Released};
    type Case<'a> = (&'a [Range<usize>], &'a [(TransitionKind, u32)]);
    let cases: [Case<'_>; 5] = [
        (from_ref(&(0..8)), &[]),
        (from_ref(&(0..2)), &[(Released, 6)]),
        (&[0..3, 0..8], &[(Cloned, 3)]),
        (&[0..8, 0..3, 0..8], &[(Cloned, 11)]),
        (&[0..4, 2..5], &[(Cloned, 2), (Released, 3)]),
    ];
    for (wanted, logged) in cases {
        let pool = pool(16);
        pool.set_provenance(Provenance::Full);
        let mut cache = pool.local_cache();
        let mut armed = cache.alloc().unwrap().arm(8).map_err(|(error, _)| error).unwrap();
        let mut batch = SkbBatch::new();
        batch.extend((0..8).map(|at| armed.skb(at * 8, 8).unwrap()));
        let share = |wanted: &Range<usize>| Share { wanted: wanted.clone(), ..Share::default() };
        let mut shares: Vec<_> = wanted.iter().map(share).collect();
        batch.fan_out(&mut shares, &mut cache);
        assert_eq!(transitions(&pool), logged, "{wanted:?}");
        drop((shares, cache));
        assert_all_home(&pool);
    }
}
