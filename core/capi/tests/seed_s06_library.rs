//! S6 and S7: a driver in a shared library is detached and dlclosed while views of its buffers are
//! out; its free function, named by it and lying in it, is called once for each buffer all the same.

mod support;

use libloading::Library;
use skbpool_capi::{RawSkb, Table};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const BUFFERS: usize = 4;
const VIEWS: usize = 3;
const CYCLES: usize = 200;

/// Written by the driver's free function: calls, and how many of them found their own library's
/// static data as the driver had left it.
#[repr(C)]
struct Freed {
    calls: AtomicU64,
    intact: AtomicU64,
}

static FREED: Freed = Freed { calls: AtomicU64::new(0), intact: AtomicU64::new(0) };

type Attach = unsafe extern "C" fn(api: &'static Table, freed: &'static Freed) -> i32;
type Receive = unsafe extern "C" fn(skbs: *mut RawSkb, seed: u8) -> i32;

fn is_mapped(library: &Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    maps.contains(library.to_str().expect("a plain path"))
}

struct Outstanding {
    skbs: Vec<RawSkb>,
    calls_before: u64,
}

/// Loads the driver, lets it receive into its own memory, and unloads it.
fn load_and_unload(library: &Path, seed: u8) -> Outstanding {
    // Relaxed: one thread.
    let calls_before = FREED.calls.load(Ordering::Relaxed);
    let mut skbs: Vec<RawSkb> = (0..BUFFERS * VIEWS).map(|_| RawSkb::released()).collect();
    // SAFETY: the library is the one built by this test, with these functions.
    unsafe {
        let driver = Library::new(library).expect("the driver loads");
        let attach = driver.get::<Attach>(b"driver_attach").expect("attach");
        assert_eq!(attach(skbpool_capi::table(), &FREED), 0);
        let receive = driver.get::<Receive>(b"driver_receive").expect("receive");
        assert_eq!(receive(skbs.as_mut_ptr(), seed), 0);
        driver.close().expect("dlclose");
    }
    Outstanding { skbs, calls_before }
}

/// Checks every byte of every view, and returns the address of the first.
fn read_all(skbs: &[RawSkb], seed: u8) -> usize {
    let api = skbpool_capi::table();
    for (position, skb) in skbs.iter().enumerate() {
        let expected = seed.wrapping_add(position as u8);
        // SAFETY: the view is ours.
        let data = unsafe {
            let data = (api.skb_data)(skb);
            std::slice::from_raw_parts(data, (api.skb_len)(skb) as usize)
        };
        assert_eq!(data.len(), 60 + position);
        assert!(data.iter().all(|&byte| byte == expected), "view {position} is as it was received");
    }
    // SAFETY: as above.
    unsafe { (api.skb_data)(&skbs[0]) }.addr()
}

fn build(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/driver.c");
    let library = folder.join("libdriver.so");
    support::compile(
        &source,
        &library,
        &["-std=c99", "-pedantic", "-shared", "-fPIC", "-D_POSIX_C_SOURCE=200112L"],
    );
    library
}

#[test]
fn a_driver_is_unloaded_while_its_views_are_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = build(folder.path());
    let api = skbpool_capi::table();
    for cycle in 0..CYCLES {
        let seed = cycle as u8;
        let mut out = load_and_unload(&library, seed);
        assert!(is_mapped(&library), "views keep the driver's code mapped after dlclose");
        let address = read_all(&out.skbs, seed);
        let last = out.skbs.pop().expect("views");
        for mut skb in out.skbs {
            // SAFETY: the view is ours.
            unsafe { (api.skb_release)(&mut skb) };
        }
        // Relaxed: one thread.
        let freed = FREED.calls.load(Ordering::Relaxed) - out.calls_before;
        assert_eq!(freed as usize, BUFFERS - 1, "the last buffer still has a view");
        assert!(is_mapped(&library), "one view is enough");
        // The last view goes on another thread, which unmaps the library it was just in.
        std::thread::spawn(move || {
            let mut last = last;
            // SAFETY: the view is this thread's now.
            unsafe { (api.skb_release)(&mut last) };
        })
        .join()
        .expect("the free function returned");
        let freed = FREED.calls.load(Ordering::Relaxed) - out.calls_before;
        assert_eq!(freed as usize, BUFFERS, "each buffer was freed once");
        assert!(!is_mapped(&library), "nothing is left to keep the driver for");
        if cycle == 0 {
            println!(
                "S6: driver dlclosed with {} views of {BUFFERS} buffers out, first at {address:#x}; \
                 still mapped; all read back; unmapped after the last release",
                BUFFERS * VIEWS
            );
        }
    }
    let calls = FREED.calls.load(Ordering::Relaxed);
    assert_eq!(calls as usize, CYCLES * BUFFERS);
    assert_eq!(FREED.intact.load(Ordering::Relaxed), calls, "free functions ran in a live library");
    println!(
        "S7: in {CYCLES} cycles {calls} buffers were freed by the driver's own function, once each"
    );
}
