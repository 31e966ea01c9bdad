//! Watermarks, events and copies, as C asks for them.

mod support;

use skbpool_capi::{Code, CopyCount, Events, RawSkb};
use skbpool_pool::{BufferHeader, CopyStage, Pool, PoolEvent};
use std::ffi::c_int;
use std::ptr::{null, null_mut};

#[path = "../../pool/tests/fork/child.rs"]
mod child;

const NO_EVENT: u32 = 0;
const NS_PER_S: u64 = 1_000_000_000;

fn api() -> &'static skbpool_capi::Table {
    skbpool_capi::table()
}

fn number(event: PoolEvent) -> u32 {
    skbpool_capi::event_number(event)
}

fn create(count: u32, low: u32, high: u32) -> *mut Pool {
    let mut pool = null_mut();
    // SAFETY: a string and a place for the pointer.
    let answer = unsafe {
        (api().skb_pool_create_with_watermarks)(c"c".as_ptr(), count, 0, low, high, &mut pool)
    };
    assert_eq!(answer, 0);
    pool
}

fn alloc(pool: *const Pool, count: usize) -> Vec<*mut BufferHeader> {
    let mut headers = vec![null_mut(); count];
    for header in &mut headers {
        // SAFETY: a pool and a place for the pointer.
        assert_eq!(unsafe { (api().skb_pool_alloc)(pool, header) }, 0);
    }
    headers
}

fn put(headers: &mut [*mut BufferHeader]) {
    // SAFETY: buffers of these tests.
    headers.iter_mut().for_each(|header| unsafe { (api().skb_buffer_put)(header) });
}

/// The next event within so many seconds.
fn next(events: *mut Events, seconds: u64) -> u32 {
    let mut event = u32::MAX;
    // SAFETY: a watcher, and a place for the number.
    let answer = unsafe { (api().skb_pool_events_wait)(events, seconds * NS_PER_S, &mut event) };
    assert_eq!(answer, 0);
    event
}

#[test]
fn crossings_and_the_end_are_told_in_order() {
    let mut pool = create(16, 4, 8);
    // SAFETY: every pointer is to something of this test, here and below.
    unsafe {
        let mut events = (api().skb_pool_events_create)(pool);
        let mut held = alloc(pool, 12);
        assert_eq!((next(events, 0), (api().skb_pool_is_low)(pool)), (NO_EVENT, 0));
        held.extend(alloc(pool, 4));
        let mut none = null_mut();
        assert_eq!((api().skb_pool_alloc)(pool, &mut none), Code::Exhausted as c_int);
        assert_eq!((api().skb_pool_is_low)(pool), 1);
        assert_eq!(next(events, 0), number(PoolEvent::LowWatermark));
        assert_eq!(next(events, 0), number(PoolEvent::Exhausted));
        put(&mut held[..8]);
        assert_eq!((api().skb_pool_is_low)(pool), 0);
        assert_eq!(next(events, 0), number(PoolEvent::HighWatermark));
        put(&mut alloc(pool, 8));
        put(&mut alloc(pool, 8));
        assert_eq!(next(events, 0), number(PoolEvent::LowWatermark));
        assert_eq!((api().skb_pool_events_missed)(events), 2);
        assert_eq!(next(events, 0), number(PoolEvent::HighWatermark));
        (api().skb_pool_close)(pool);
        assert_eq!(next(events, 0), number(PoolEvent::Orphaned));
        put(&mut held);
        (api().skb_pool_put)(&mut pool);
        assert_eq!(
            next(events, 60),
            number(PoolEvent::Gone),
            "told by the pool, which it outlives"
        );
        assert_eq!(next(events, u64::MAX / NS_PER_S), NO_EVENT, "nothing follows, at once");
        (api().skb_pool_events_free)(&mut events);
        (api().skb_pool_events_free)(&mut events);
        assert!(events.is_null());
    }
}

struct Shared<T>(*mut T);

// SAFETY: pools belong to any number of threads; a watcher goes to one.
unsafe impl<T> Send for Shared<T> {}

#[test]
fn waits_end_when_another_thread_crosses_a_watermark() {
    const ROUNDS: usize = 50;
    let mut pool = create(16, 4, 8);
    // SAFETY: as above.
    let mut events = unsafe { (api().skb_pool_events_create)(pool) };
    let watcher = Shared(events);
    let (about_to_wait, told) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let watcher = watcher;
        let wait = |_| {
            about_to_wait.send(()).unwrap();
            next(watcher.0, 60)
        };
        (0..2 * ROUNDS).map(wait).collect::<Vec<_>>()
    });
    for _ in 0..ROUNDS {
        told.recv().unwrap();
        let mut held = alloc(pool, 16);
        told.recv().unwrap();
        put(&mut held);
    }
    let both = [PoolEvent::LowWatermark, PoolEvent::HighWatermark].map(number);
    assert_eq!(waiting.join().unwrap(), both.repeat(ROUNDS));
    // SAFETY: as above.
    unsafe {
        (api().skb_pool_events_free)(&mut events);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn copies_are_counted_by_stage_and_unknown_stages_refused() {
    let mut pool = create(4, 0, 1);
    let stage = CopyStage::SkbCopy as u32;
    // SAFETY: as above.
    unsafe {
        let (mut before, mut after) = (CopyCount::default(), CopyCount::default());
        assert_eq!((api().skb_pool_copies)(pool, stage, &mut before), 0);
        let (mut skb, mut copy) = (RawSkb::released(), RawSkb::released());
        let mut header = alloc(pool, 1)[0];
        assert_eq!((api().skb_from_buffer)(&mut skb, &mut header, 0, 100), 0);
        assert_eq!((api().skb_copy)(&mut copy, &skb, null()), 0);
        assert_eq!((api().skb_pool_copies)(pool, stage, &mut after), 0);
        assert_eq!((after.frames - before.frames, after.bytes - before.bytes), (1, 100));
        for unknown in [6, u32::MAX] {
            let answer = (api().skb_pool_copies)(pool, unknown, &mut after);
            assert_eq!(answer, Code::Invalid as c_int);
        }
        (api().skb_release)(&mut skb);
        (api().skb_release)(&mut copy);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn watermarks_that_cannot_be_reached_are_refused() {
    let mut pool = null_mut();
    for (low, high) in [(2, 1), (1, 17), (u32::MAX, u32::MAX)] {
        // SAFETY: a string and a place for the pointer.
        let answer = unsafe {
            (api().skb_pool_create_with_watermarks)(c"c".as_ptr(), 16, 0, low, high, &mut pool)
        };
        assert_eq!((answer, pool.is_null()), (Code::Invalid as c_int, true));
    }
}

#[test]
fn in_a_forked_child_a_wait_answers_with_a_code_of_its_own() {
    let mut pool = create(4, 0, 1);
    // SAFETY: as above.
    let mut events = unsafe { (api().skb_pool_events_create)(pool) };
    child::Child::fork(|| {
        // SAFETY: as above.
        unsafe {
            let mut late = (api().skb_pool_events_create)(pool);
            for watcher in [events, late] {
                let mut event = u32::MAX;
                let answer = (api().skb_pool_events_wait)(watcher, u64::MAX, &mut event);
                assert_eq!((answer, event), (Code::ForkedPool as c_int, u32::MAX));
            }
            (api().skb_pool_events_free)(&mut late);
        }
    })
    .join();
    assert_eq!(next(events, 0), NO_EVENT);
    // SAFETY: as above.
    unsafe {
        (api().skb_pool_events_free)(&mut events);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn code_in_c_watches_a_pool_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = folder.path().join("watcher.so");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/watcher.c");
    support::compile(&source, &library, &["-std=c99", "-pedantic", "-shared", "-fPIC"]);
    // SAFETY: its constructors do nothing.
    let library = unsafe { libloading::Library::new(&library) }.expect("loaded");
    type Watch = unsafe extern "C" fn(table: *const skbpool_capi::Table) -> c_int;
    // SAFETY: the function has this type.
    let watch: libloading::Symbol<'_, Watch> = unsafe { library.get(b"watch") }.expect("exported");
    // SAFETY: the table of this process.
    assert_eq!(unsafe { watch(api()) }, 0, "the line of watcher.c that failed");
}
