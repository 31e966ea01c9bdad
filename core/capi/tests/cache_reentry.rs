//! A free function may use the cache through which the last view of its buffer is released, and free it.

use skbpool_capi::{Cache, RawSkb};
use skbpool_pool::{BufferHeader, Pool};
use std::ffi::c_void;
use std::ptr::null_mut;

fn api() -> &'static skbpool_capi::Table {
    skbpool_capi::table()
}

/// More than a batch that was made for a few has room for, and than a cache holds back.
const MANY: usize = 600;

type Act = unsafe fn(&mut Setting);

/// What a free function is called with.
struct Setting {
    pool: *mut Pool,
    cache: *mut Cache,
    act: Act,
    calls: u32,
}

static BYTES: [u8; 64] = [9; 64];

unsafe extern "C" fn free(_: *mut BufferHeader, context: *mut c_void) {
    // SAFETY: the test's setting, which nobody else uses while a function of the table runs.
    let setting = unsafe { &mut *context.cast::<Setting>() };
    setting.calls += 1;
    // SAFETY: as the test means it.
    unsafe { (setting.act)(setting) };
}

/// A view in a buffer of the pool.
///
/// # Safety
/// - A pool.
unsafe fn view(pool: *mut Pool) -> RawSkb {
    let (mut header, mut skb) = (null_mut(), RawSkb::released());
    // SAFETY: a pool, and places for what is made; here and below every pointer is to something of this test.
    unsafe {
        assert_eq!((api().skb_pool_alloc)(pool, &mut header), 0);
        assert_eq!((api().skb_from_buffer)(&mut skb, &mut header, 0, 100), 0);
    }
    skb
}

/// A view of brought memory whose end is told to `setting`.
unsafe fn brought(setting: *mut Setting) -> RawSkb {
    let (mut header, mut skb) = (null_mut(), RawSkb::released());
    let (data, context) = (BYTES.as_ptr().cast(), setting.cast());
    // SAFETY: static bytes, and a context that outlives the view.
    unsafe {
        let adopt = api().adopt_memory;
        assert_eq!(adopt(data, 64, 0, Some(free), context, null_mut(), None, &mut header), 0);
        assert_eq!((api().skb_from_buffer)(&mut skb, &mut header, 0, 64), 0);
    }
    skb
}

/// Releases views of a pool and of brought memory in one call, the latter in a chain as well, with a free
/// function that does `act`; as many are freed as there were, and everything is home afterwards.
fn released_while(act: Act) {
    let mut pool = null_mut();
    // SAFETY: a string, and a place for the pointer.
    assert_eq!(unsafe { (api().skb_pool_create)(c"c".as_ptr(), 1024, 0, &mut pool) }, 0);
    // SAFETY: a pool.
    let cache = unsafe { (api().skb_cache_create)(pool) };
    let setting = Box::into_raw(Box::new(Setting { pool, cache, act, calls: 0 }));
    // SAFETY: as above.
    unsafe {
        let mut chain = view(pool);
        assert_eq!((api().skb_append_frag)(&mut chain, &mut brought(setting)), 0);
        let mut skbs = vec![brought(setting), view(pool), chain, view(pool), brought(setting)];
        skbs.extend((0..3).map(|_| view(pool)));
        (api().skb_cache_release)(cache, skbs.as_mut_ptr(), skbs.len());
        assert!(skbs.iter().all(|skb| skb.header.is_null()));
        let mut setting = Box::from_raw(setting);
        assert_eq!(setting.calls, 3);
        assert_eq!(((*pool).stats().in_flight, (*pool).stats().violations), (0, 0));
        (api().skb_cache_free)(&mut setting.cache);
        assert_eq!((*pool).audit().unwrap().free, 1024);
        (api().skb_pool_put)(&mut pool);
    }
}

#[test]
fn that_releases_through_it() {
    released_while(|setting| {
        // SAFETY: the setting's own pool and cache.
        unsafe {
            let mut more: Vec<RawSkb> = (0..MANY).map(|_| view(setting.pool)).collect();
            (api().skb_cache_release)(setting.cache, more.as_mut_ptr(), more.len());
        }
    });
}

#[test]
fn that_takes_from_it_and_flushes_it() {
    released_while(|setting| {
        let mut held = vec![null_mut(); MANY];
        // SAFETY: as above.
        unsafe {
            for header in &mut held {
                assert_eq!((api().skb_cache_alloc)(setting.cache, header), 0);
            }
            for header in &mut held {
                (api().skb_buffer_put)(header);
            }
            (api().skb_cache_flush)(setting.cache);
        }
    });
}

#[test]
fn that_frees_it() {
    released_while(|setting| {
        // SAFETY: as above; null from the second call on.
        unsafe { (api().skb_cache_free)(&mut setting.cache) };
    });
}
