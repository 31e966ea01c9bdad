//! Waiting for what happens to a pool, and what it copied, for C.

use crate::failure::{Failure, answer};
use crate::pool::until;
use skbpool_pool::fork::Birthplace;
use skbpool_pool::{AllocError, CopyStage, Pool, PoolEvent, PoolEvents};
use std::ffi::c_int;
use std::ptr::null_mut;

/// `skb_pool_events`: one watcher of a pool.
pub struct Events {
    events: PoolEvents,
    /// Where it was made; none: of a pool that was dead there already.
    born: Option<Birthplace>,
}

/// `skb_copy_count`: what one stage copied.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct CopyCount {
    /// Frames.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
}

/// `SKB_POOL_` and the name of the event; 0 is none.
pub const fn event_number(event: PoolEvent) -> u32 {
    match event {
        PoolEvent::LowWatermark => 1,
        PoolEvent::Exhausted => 2,
        PoolEvent::HighWatermark => 3,
        PoolEvent::Orphaned => 4,
        PoolEvent::Gone => 5,
    }
}

pub(crate) unsafe extern "C" fn skb_pool_is_low(pool: *const Pool) -> c_int {
    // SAFETY: the caller gives a pool.
    c_int::from(unsafe { (*pool).is_low() })
}

pub(crate) unsafe extern "C" fn skb_pool_events_create(pool: *const Pool) -> *mut Events {
    // SAFETY: the caller gives a pool.
    let pool = unsafe { &*pool };
    let (events, born) = (pool.events(), (!pool.is_forked()).then(Birthplace::here));
    Box::into_raw(Box::new(Events { events, born }))
}

pub(crate) unsafe extern "C" fn skb_pool_events_wait(
    events: *mut Events,
    timeout_ns: u64,
    out: *mut u32,
) -> c_int {
    answer((|| {
        // SAFETY: the caller gives a watcher that no other thread uses.
        let Events { events, born } = unsafe { &mut *events };
        if born.is_none_or(Birthplace::is_elsewhere) {
            return Err(Failure::Alloc(AllocError::ForkedPool));
        }
        let event = events.next_until(until(timeout_ns));
        // SAFETY: the caller gives a place for the number.
        unsafe { out.write(event.map_or(0, event_number)) };
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_pool_events_missed(events: *const Events) -> u64 {
    // SAFETY: as above.
    unsafe { (*events).events.missed() }
}

pub(crate) unsafe extern "C" fn skb_pool_events_free(slot: *mut *mut Events) {
    // SAFETY: the caller owns the watcher behind its pointer, unless that is null.
    unsafe {
        let events = slot.replace(null_mut());
        if !events.is_null() {
            drop(Box::from_raw(events));
        }
    }
}

pub(crate) unsafe extern "C" fn skb_pool_copies(
    pool: *const Pool,
    stage: u32,
    out: *mut CopyCount,
) -> c_int {
    answer((|| {
        if stage as usize >= CopyStage::ALL.len() {
            return Err(Failure::BadStage { stage });
        }
        // SAFETY: the caller gives a pool.
        let count = unsafe { (*pool).accounts().copies() }[stage as usize];
        // SAFETY: the caller gives a place for the counts.
        unsafe { out.write(CopyCount { frames: count.frames, bytes: count.bytes }) };
        Ok(())
    })())
}
