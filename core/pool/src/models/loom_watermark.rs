//! Watermarks: each crossing is told once, low and high alternately, and nobody who waits for one
//! sleeps on.

use super::check;
use crate::pool::{EventBoard, Pool, PoolEvent, PoolEvents, Told};
use PoolEvent::{Exhausted, Gone, HighWatermark, LowWatermark, Orphaned};
use loom::thread;
use std::sync::Arc;

fn pool(buffers: u32, low: u32, high: u32) -> Pool {
    Pool::builder(buffers).watermarks(low, high).build().unwrap()
}

/// All that was told, which alternates; whether the pool was low at the end.
fn assert_alternates(pool: &Pool, events: &mut PoolEvents) -> Vec<PoolEvent> {
    let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    let crossings: Vec<_> =
        told.iter().filter(|&&event| matches!(event, LowWatermark | HighWatermark)).collect();
    for (at, &&event) in crossings.iter().enumerate() {
        assert_eq!(event, if at % 2 == 0 { LowWatermark } else { HighWatermark });
    }
    let stats = pool.watermarks();
    assert_eq!(stats.is_low, stats.low != stats.high, "{stats:?}");
    assert_eq!(crossings.len() as u64 + events.missed(), stats.low + stats.high);
    told
}

/// Two threads cross the watermarks there and back: whatever they do in between, the pool knows in
/// the end that it is not low.
#[test]
fn there_and_back() {
    check(|| {
        let pool = pool(2, 1, 2);
        let mut events = pool.events();
        let other = pool.clone();
        let thread = thread::spawn(move || drop(other.alloc()));
        drop(pool.alloc());
        thread.join().unwrap();
        assert!(!pool.is_low());
        assert_alternates(&pool, &mut events);
    });
}

/// One takes what another brings back: low in the end if and only if that was the last.
#[test]
fn down_beside_up() {
    check(|| {
        let pool = pool(2, 1, 1);
        let mut events = pool.events();
        let [one, _two] = [pool.alloc().unwrap(), pool.alloc().unwrap()];
        assert!(pool.is_low());
        let thread = thread::spawn(move || drop(one));
        let again = pool.alloc();
        thread.join().unwrap();
        assert_eq!(pool.is_low(), again.is_ok());
        let told = assert_alternates(&pool, &mut events);
        // Either what came back was taken again, or nothing was there to be taken.
        assert!(again.is_ok() || told.last() == Some(&HighWatermark), "{told:?}");
        assert!(told.iter().filter(|&&event| event == Exhausted).count() <= 1);
    });
}

/// A cache takes its magazine while a single buffer comes home.
#[test]
fn a_cache_beside_a_single_buffer() {
    check(|| {
        let pool = pool(2, 1, 1);
        let mut events = pool.events();
        let held = pool.alloc().unwrap();
        let mut cache = pool.local_cache();
        let thread = thread::spawn(move || drop(held));
        let taken = cache.alloc();
        thread.join().unwrap();
        assert!(taken.is_ok());
        drop((taken, cache));
        assert!(!pool.is_low());
        assert_alternates(&pool, &mut events);
    });
}

/// Who finds nothing tells of it only after the pool is known to be low, by whomever it became so.
#[test]
fn exhausted_comes_after_low() {
    check(|| {
        let pool = pool(1, 1, 1);
        let mut events = pool.events();
        let other = pool.clone();
        let thread = thread::spawn(move || other.alloc().ok());
        let mine = pool.alloc().ok();
        let first = events.try_next();
        assert!(first.is_none_or(|event| event == LowWatermark), "{first:?}");
        let theirs = thread.join().unwrap();
        assert!(mine.is_some() != theirs.is_some());
        drop((mine, theirs));
        let rest = std::iter::from_fn(|| events.try_next());
        let told: Vec<_> = first.into_iter().chain(rest).collect();
        // It counts in `alloc_empty` only if the other's buffer was not yet counted out.
        let in_order = matches!(
            told[..],
            [LowWatermark, Exhausted, HighWatermark] | [LowWatermark, HighWatermark]
        );
        assert!(in_order, "{told:?}");
    });
}

/// Somebody sleeps until the pool is low, and then until it has recovered.
#[test]
fn no_wake_up_is_lost() {
    check(|| {
        let pool = pool(1, 1, 1);
        let mut events = pool.events();
        let other = pool.clone();
        let thread = thread::spawn(move || drop(other.alloc()));
        assert_eq!(events.wait_next(), LowWatermark);
        assert_eq!(events.wait_next(), HighWatermark);
        thread.join().unwrap();
        assert_eq!((pool.is_low(), events.try_next(), events.missed()), (false, None, 0));
    });
}

/// A watcher looks while a pool runs out and is closed: it is told of nothing before what led to it.
#[test]
fn what_led_to_an_event_is_told_before_it() {
    check(|| {
        let pool = pool(1, 1, 1);
        let mut events = pool.events();
        let other = pool.clone();
        let thread = thread::spawn(move || {
            let held = other.alloc().unwrap();
            assert!(other.alloc().is_err());
            other.close();
            held
        });
        let told: Vec<_> = (0..2).filter_map(|_| events.try_next()).collect();
        assert!([LowWatermark, Exhausted, Orphaned].starts_with(&told), "{told:?}");
        drop(thread.join().unwrap());
    });
}

/// Two threads tell what they changed at once.
#[test]
fn what_two_tell_at_once_adds_up() {
    check(|| {
        let board = EventBoard::start_at(u64::MAX);
        let mut events = PoolEvents::new(Arc::clone(&board));
        let theirs = Arc::clone(&board);
        let thread = thread::spawn(move || {
            theirs.tell(Told { crossing: true, exhausted: true, ends: 0 });
            theirs.tell_orphaned();
        });
        board.tell(Told { crossing: true, exhausted: true, ends: EventBoard::GONE });
        thread.join().unwrap();
        assert_eq!(board.counts(), [2, 2]);
        let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        assert_eq!(told, [LowWatermark, Exhausted, HighWatermark, Orphaned, Gone]);
    });
}

/// The pool is closed while its last view comes home: that it is gone is told once, and last.
#[test]
fn closing_beside_the_last_view() {
    check(|| {
        let pool = pool(1, 0, 0);
        let mut events = pool.events();
        let view = pool.alloc().unwrap().into_empty_skb();
        let thread = thread::spawn(move || drop(view));
        let outstanding = pool.close();
        drop(pool);
        let mut told = vec![events.wait_next()];
        while told.last() != Some(&Gone) {
            told.push(events.wait_next());
        }
        thread.join().unwrap();
        assert!(matches!(told[..], [Gone] | [Orphaned, Gone]), "{told:?}");
        assert!(outstanding != 0 || told == [Gone]);
        assert_eq!(events.try_next(), None);
    });
}

/// As above, and the pool is low: that it has recovered is told before that it is gone, whoever tells
/// first.
#[test]
fn closing_a_low_pool_beside_its_last_view() {
    check(|| {
        let pool = pool(1, 1, 1);
        let mut events = pool.events();
        let view = pool.alloc().unwrap().into_empty_skb();
        let thread = thread::spawn(move || drop(view));
        pool.close();
        drop(pool);
        let mut told = vec![events.wait_next()];
        while told.last() != Some(&Gone) {
            told.push(events.wait_next());
        }
        thread.join().unwrap();
        told.retain(|&event| event != Orphaned);
        assert_eq!(told, [LowWatermark, HighWatermark, Gone]);
    });
}

/// Nobody closed it: it is gone when the last handle and the last view are.
#[test]
fn the_last_handle_beside_the_last_view() {
    check(|| {
        let pool = pool(1, 1, 1);
        let mut events = pool.events();
        let pages = Arc::clone(pool.pages());
        let view = pool.alloc().unwrap().into_empty_skb();
        assert_eq!(events.try_next(), Some(LowWatermark));
        let thread = thread::spawn(move || drop(view));
        drop(pool);
        assert_eq!(events.wait_next(), HighWatermark);
        assert_eq!(events.wait_next(), Gone);
        thread.join().unwrap();
        assert_eq!(pages.unmapped(), 1);
    });
}
