//! Brought memory that holds views of brought memory, which holds views, and so on.

use skbpool_pool::{Free, Owner, Skb, adopt, init_zero_copy_buffer};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// A value that holds a view of the value before it, and so on. Letting the outermost go lets go of all
/// of them, each once, in a stack that would not hold a call for each.
#[test]
fn values_nested_to_any_depth_are_let_go_of_in_bounded_stack() {
    const DEPTH: usize = 100_000;
    struct Nested(Mutex<Option<Skb>>, Arc<AtomicU32>);
    impl AsRef<[u8]> for Nested {
        fn as_ref(&self) -> &[u8] {
            b"nested"
        }
    }
    impl Drop for Nested {
        fn drop(&mut self) {
            drop(self.0.get_mut().unwrap().take());
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let gone = Arc::new(AtomicU32::new(0));
    let nest = |inner: Option<Skb>| {
        let value = Nested(Mutex::new(inner), Arc::clone(&gone));
        let buffer = adopt(value).map_err(|(error, _)| error).unwrap();
        buffer.into_skb(0..6).map_err(|(error, _)| error).unwrap()
    };
    let pool = super::pool(1);
    for uncached in [true, false] {
        gone.store(0, Ordering::Relaxed);
        let outermost = (1..DEPTH).fold(nest(None), |inner, _| nest(Some(inner)));
        if uncached {
            drop(outermost);
        } else {
            pool.local_cache().release(outermost);
        }
        assert_eq!(gone.load(Ordering::Relaxed), DEPTH as u32);
    }
}

/// A few levels are let go of at once, each before the one around it; what one at the bottom lets go of is
/// put aside, all of it, until that one is done.
#[test]
fn what_is_put_aside_is_gone_when_the_outermost_release_returns() {
    const WIDTH: usize = 500;
    struct Wide(Mutex<Vec<Skb>>, u32, mpsc::Sender<u32>);
    impl AsRef<[u8]> for Wide {
        fn as_ref(&self) -> &[u8] {
            b"wide"
        }
    }
    impl Drop for Wide {
        fn drop(&mut self) {
            self.0.get_mut().unwrap().clear();
            self.2.send(self.1).unwrap();
        }
    }
    let (sender, receiver) = mpsc::channel();
    let wide = |inner: Vec<Skb>, level: u32| {
        let value = Wide(Mutex::new(inner), level, sender.clone());
        let buffer = adopt(value).map_err(|(error, _)| error).unwrap();
        buffer.into_skb(0..4).map_err(|(error, _)| error).unwrap()
    };
    let three = wide(vec![wide(vec![wide(vec![], 2)], 1)], 0);
    drop(three);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2, 1, 0]);

    let leaves = (0..WIDTH).map(|_| wide(vec![], 0)).collect();
    let outermost = (1..100).fold(wide(leaves, 1), |inner, _| wide(vec![inner], 1));
    drop(outermost);
    assert_eq!(receiver.try_iter().filter(|&level| level == 0).count(), WIDTH);
}

/// Memory that nobody is called for may be used for something else once its last view is gone, so its header
/// is not looked at later.
#[test]
fn what_nobody_frees_is_not_put_aside() {
    #[repr(align(64))]
    struct Memory([u8; 128]);
    struct Value(Option<Skb>);
    // SAFETY: the view is only touched by the drop.
    unsafe impl Sync for Value {}
    impl AsRef<[u8]> for Value {
        fn as_ref(&self) -> &[u8] {
            b"value"
        }
    }
    impl Drop for Value {
        fn drop(&mut self) {
            let mut memory = Memory([0; 128]);
            let head = NonNull::from(&mut memory.0).cast();
            let (free, owner) = (Free::nothing(), Owner::nobody());
            // SAFETY: the only view goes here, before the memory does.
            let buffer = unsafe { init_zero_copy_buffer(head, 128, 0, free, owner) }.unwrap();
            drop(buffer.into_skb(0..64).map_err(|(error, _)| error).unwrap());
            std::hint::black_box(&mut memory.0).fill(0xAA);
            drop(self.0.take());
        }
    }
    let outermost = (0..100).fold(None, |inner, _| {
        let buffer = adopt(Value(inner)).map_err(|(error, _)| error).unwrap();
        Some(buffer.into_skb(0..5).map_err(|(error, _)| error).unwrap())
    });
    drop(outermost);
}
