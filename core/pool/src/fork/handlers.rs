//! What runs before a fork, and on both sides of it.

use super::FORKS;
use super::registry::{AtFork, Hold, Registry, registry};
use crate::account;
use crate::pool::HeldPool;
use rustix::pipe::PipeFlags;
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::forget;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> c_int;
}

/// What the forking thread holds. Unlocked in the order of the fields.
struct Held {
    /// The child's end is gone when the child has copied what it needs, or is gone itself. None if no
    /// descriptor was free: then nobody waits.
    copied: Option<(OwnedFd, OwnedFd)>,
    locks: Vec<Box<dyn Hold>>,
    accounts: account::Held,
    pools: Vec<HeldPool>,
    registry: MutexGuard<'static, Registry>,
    others: Vec<Arc<dyn AtFork>>,
}

/// Used by whoever holds the registry's lock, which is in it.
struct Place(UnsafeCell<Option<Held>>);

// SAFETY: only the thread that locked the registry touches it, between `prepare` and the other handler.
unsafe impl Sync for Place {}

static HELD: Place = Place(UnsafeCell::new(None));

pub(super) fn install() {
    // SAFETY: the handlers are functions of this library, and the C library forgets them if it is
    // unloaded. It fails only for lack of memory, which the pool that is being made will notice.
    let failed = unsafe { pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    debug_assert_eq!(failed, 0);
}

/// Locks everything in the order that its users do: hubs, pools, accounts.
unsafe extern "C" fn prepare() {
    // Made once in a process, by now: a thread in the middle of it would not be there in the child.
    account::Accounts::global();
    crate::clock::Ticker::default();
    let registry = registry();
    let others: Vec<_> = registry.others.iter().filter_map(std::sync::Weak::upgrade).collect();
    // SAFETY: what the locks are in is kept by `others`, and the locks are let go of before that.
    let locks = others.iter().map(|other| unsafe { forever(other.hold()) }).collect();
    // SAFETY: pools leave the registry, which is locked, before they are freed.
    let pools = registry.pools.iter().map(|live| unsafe { HeldPool::new(live.0) }).collect();
    let copied = match registry.pools.is_empty() {
        true => None,
        false => rustix::pipe::pipe_with(PipeFlags::CLOEXEC).ok(),
    };
    let accounts = account::Held::new();
    // SAFETY: the registry is locked by us.
    unsafe { *HELD.0.get() = Some(Held { copied, locks, accounts, pools, registry, others }) };
}

unsafe extern "C" fn parent() {
    // SAFETY: `prepare` ran on this thread and locked the registry.
    let Some(mut held) = (unsafe { (*HELD.0.get()).take() }) else { return };
    if let Some((end, childs)) = held.copied.take() {
        drop(childs);
        // Nothing is ever written: it ends when the child has closed its end, in whatever way.
        let _ = rustix::io::retry_on_intr(|| rustix::io::read(&end, &mut [0u8; 1]));
    }
    // Letting the last owner of something go may take any of these locks.
    let Held { copied: _, locks, accounts, pools, registry, others } = held;
    drop((locks, pools));
    let accounts = accounts.unlock();
    drop(registry);
    drop((accounts, others));
}

/// Makes system calls and stores, and frees what the locks were held in: the C library keeps its
/// allocator whole across a fork. Runs nobody's destructor, which might ask threads that are not here.
unsafe extern "C" fn child() {
    // Relaxed: there is no other thread.
    FORKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: as in `parent`: the child's only thread is a copy of that which ran `prepare`.
    let Some(held) = (unsafe { (*HELD.0.get()).take() }) else { return };
    let Held { copied, locks, accounts, pools, registry, others } = held;
    for pool in &pools {
        pool.die();
    }
    for other in &others {
        other.forked();
    }
    drop((copied, locks, pools));
    forget(accounts.unlock());
    drop(registry);
    forget(others);
}

/// # Safety
/// - What is locked outlives the answer.
unsafe fn forever(locks: Box<dyn Hold + '_>) -> Box<dyn Hold> {
    // SAFETY: only the lifetime differs, as the caller promises.
    unsafe { std::mem::transmute::<Box<dyn Hold + '_>, Box<dyn Hold>>(locks) }
}
