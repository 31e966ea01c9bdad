//! Loom's atomics, with every access made visible to its search.
//!
//! Loom 0.7 remembers one access to an atomic, the last one, and tries another order of two accesses
//! only when it finds them there. A thread's load before its own store therefore hides that the store
//! races with an earlier load of another thread (tokio-rs/loom, issues 166 and 392), which is what a
//! reference count and a compare-and-swap loop look like. Here each access is announced by a store
//! into a second atomic. Stores always count as racing, so both orders are tried; nobody reads them,
//! so they order nothing.

use super::Ordering::{self, Relaxed};

macro_rules! announced {
    ($name:ident, $value:ty) => {
        #[doc = concat!("`", stringify!($name), "` in a model.")]
        #[derive(Debug)]
        pub struct $name {
            announced: loom::sync::atomic::AtomicBool,
            value: loom::sync::atomic::$name,
        }

        impl $name {
            /// An atomic that holds `value`.
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self {
                    announced: loom::sync::atomic::AtomicBool::new(false),
                    value: loom::sync::atomic::$name::new(value),
                }
            }

            fn announced(&self) -> &loom::sync::atomic::$name {
                // Relaxed: never read.
                self.announced.store(true, Relaxed);
                &self.value
            }

            /// As in `core`.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.announced().load(order)
            }

            /// As in `core`.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                self.announced().store(value, order);
            }

            /// As in `core`.
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.announced().swap(value, order)
            }

            /// As in `core`.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.announced().compare_exchange(current, new, success, failure)
            }

            /// As in `core`; never fails without a reason.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            /// As in `core`.
            #[track_caller]
            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.announced().fetch_update(success, failure, update)
            }
        }
    };
}

macro_rules! announced_integer {
    ($name:ident, $value:ty) => {
        announced!($name, $value);

        impl $name {
            /// As in `core`.
            #[track_caller]
            pub fn fetch_add(&self, by: $value, order: Ordering) -> $value {
                self.announced().fetch_add(by, order)
            }

            /// As in `core`.
            #[track_caller]
            pub fn fetch_sub(&self, by: $value, order: Ordering) -> $value {
                self.announced().fetch_sub(by, order)
            }

            /// As in `core`.
            #[track_caller]
            pub fn fetch_max(&self, with: $value, order: Ordering) -> $value {
                self.announced().fetch_max(with, order)
            }

            /// As in `core`.
            #[track_caller]
            pub fn fetch_or(&self, bits: $value, order: Ordering) -> $value {
                self.announced().fetch_or(bits, order)
            }

            /// As in `core`.
            #[track_caller]
            pub fn fetch_and(&self, bits: $value, order: Ordering) -> $value {
                self.announced().fetch_and(bits, order)
            }
        }
    };
}

announced!(AtomicBool, bool);
announced_integer!(AtomicU8, u8);
announced_integer!(AtomicU32, u32);
announced_integer!(AtomicU64, u64);
