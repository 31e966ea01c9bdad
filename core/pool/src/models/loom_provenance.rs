//! The records of provenance: a reader puts no two generations together, and what came home before it
//! looked is not reported.

use super::check;
use crate::account::HolderId;
use crate::pool::Pool;
use crate::provenance::{Origin, Provenance, Record, Sites, TransitionKind};
use loom::thread;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is written under a generation says which one it is.
fn begin(record: &Record, generation: u32) {
    let mark = (generation >> 16) as u16;
    let origin = Origin { site: 2 + mark, holder: HolderId::from_raw(mark), rate: u32::from(mark) };
    record.begin(generation, u32::from(mark), origin);
}

fn deliver(record: &Record, generation: u32) {
    let mark = (generation >> 16) as u16;
    let holder = HolderId::from_raw(mark);
    assert!(record.note(generation, u32::from(mark), TransitionKind::Delivered, holder, 1));
}

fn assert_whole(record: &Record) {
    let Some(seen) = record.read() else { return };
    let mark = (seen.generation >> 16) as u16;
    assert_eq!((seen.origin.site, seen.origin.holder.raw()), (2 + mark, mark));
    assert_eq!((seen.origin.rate, seen.epoch), (u32::from(mark), u32::from(mark)));
    assert!(seen.trail.iter().all(|note| note.holder.raw() == mark), "{seen:?}");
    assert!(seen.forgotten <= 1, "{seen:?}");
}

/// Two generations whose low 16 bits, all that a transition has room for, are the same.
#[test]
fn a_reader_beside_generations_that_follow_each_other() {
    check(|| {
        let record = Arc::new(Record::empty());
        begin(&record, 0x1_0000);
        deliver(&record, 0x1_0000);
        let theirs = Arc::clone(&record);
        let writer = thread::spawn(move || {
            begin(&theirs, 0x2_0000);
            deliver(&theirs, 0x2_0000);
        });
        assert_whole(&record);
        writer.join().unwrap();
        assert_eq!(record.read().unwrap().trail.len(), 1);
        assert_whole(&record);
    });
}

/// Two owners of views note what they do at once.
#[test]
fn two_writers_of_one_generation() {
    check(|| {
        let record = Arc::new(Record::empty());
        begin(&record, 0x1_0000);
        let theirs = Arc::clone(&record);
        let other = thread::spawn(move || deliver(&theirs, 0x1_0000));
        deliver(&record, 0x1_0000);
        assert_whole(&record);
        other.join().unwrap();
        assert_eq!(record.read().unwrap().forgotten, 1, "both were counted");
    });
}

/// The number of transitions wraps, and takes back what it carried into the generation beside it.
#[test]
fn two_writers_at_the_wrap() {
    check(|| {
        let record = Arc::new(Record::empty());
        begin(&record, 0x1_0000);
        record.start_at(0x1_0000, u32::MAX);
        let theirs = Arc::clone(&record);
        let other = thread::spawn(move || deliver(&theirs, 0x1_0000));
        deliver(&record, 0x1_0000);
        other.join().unwrap();
        assert_eq!(record.noted(), (0x1_0000, 1));
    });
}

/// A site and a holder that are named after a record began: who sees the new word sees the trail emptied as well.
#[test]
fn a_reader_beside_an_origin_that_is_named() {
    check(|| {
        let record = Arc::new(Record::empty());
        begin(&record, 0x1_0000);
        deliver(&record, 0x1_0000);
        let theirs = Arc::clone(&record);
        let writer = thread::spawn(move || {
            begin(&theirs, 0x2_0000);
            assert!(theirs.name_origin(0x2_0000, HolderId::from_raw(2), 4));
        });
        assert_whole(&record);
        writer.join().unwrap();
    });
}

/// Two sites that are met for the first time at once, and want the same place of the table.
#[test]
fn two_sites_at_once() {
    let locations = [Location::caller(), Location::caller(), Location::caller()];
    // A model's table has two places.
    let place = |location: &Location<'_>| (location.line() * 31 + location.column()) % 2;
    let [one, two] = match locations.map(place) {
        [first, second, _] if first == second => [locations[0], locations[1]],
        [first, _, third] if first == third => [locations[0], locations[2]],
        _ => [locations[1], locations[2]],
    };
    check(move || {
        let sites = Arc::new(Sites::new());
        let theirs = Arc::clone(&sites);
        let thread = thread::spawn(move || theirs.of_location(two));
        let numbers = [sites.of_location(one), thread.join().unwrap()];
        assert_ne!(numbers[0], numbers[1]);
        assert_eq!(numbers, [sites.of_location(one), sites.of_location(two)]);
    });
}

/// A cache that saw the call learns of the switch, whenever that was.
#[test]
fn a_switch_beside_a_cache() {
    check(|| {
        let pool = Pool::builder(4).provenance(Provenance::Full).build().unwrap();
        let mut cache = pool.local_cache();
        let theirs = pool.clone();
        let thread = thread::spawn(move || theirs.set_provenance(Provenance::Off));
        drop(cache.alloc().unwrap());
        thread.join().unwrap();
        assert_eq!(cache.cached(), 1, "or a refill would look again");
        let held = cache.alloc().unwrap();
        let report = pool.leak_report(Duration::ZERO, 1);
        assert!(report.sites.is_empty(), "recorded although it was switched off");
        drop(held);
    });
}

/// A report beside a thread that allocates, releases and allocates again: what it tells of is recorded,
/// and afterwards it tells of what is out, no more and no less.
#[test]
fn a_report_beside_allocations() {
    check(|| {
        let pool = Pool::builder(1).provenance(Provenance::Full).build().unwrap();
        let theirs = pool.clone();
        let thread = thread::spawn(move || {
            drop(theirs.alloc().unwrap());
            theirs.alloc().unwrap()
        });
        let count = |pool: &Pool| {
            let report = pool.leak_report(Duration::ZERO, 1);
            report.sites.iter().map(|site| site.count).sum::<u64>()
        };
        assert!(count(&pool) <= 1);
        let held = thread.join().unwrap();
        assert_eq!(count(&pool), 1, "a report that ran meanwhile forgot a record that is true");
        drop(held);
        assert_eq!(count(&pool), 0);
    });
}
