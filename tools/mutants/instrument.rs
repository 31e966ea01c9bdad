//! Switches for mutations: the environment says which one is on, as `site:variant`.
//!
//! Added to a copy of the crates, whose sources call it at every site that can be mutated.

use super::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::OnceLock;

/// The variant that is on at `site`.
fn chosen(site: u32) -> Option<&'static str> {
    static CHOSEN: OnceLock<Option<(u32, String)>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let mutant = std::env::var("SKBPOOL_MUTANT").ok()?;
        let (site, variant) = mutant.split_once(':').expect("site:variant");
        Some((site.parse().expect("the number of a site"), variant.to_owned()))
    });
    let (number, variant) = chosen.as_ref()?;
    (*number == site).then_some(variant)
}

fn named(variant: &str) -> Ordering {
    match variant {
        "Relaxed" => Ordering::Relaxed,
        "Acquire" => Ordering::Acquire,
        "Release" => Ordering::Release,
        "AcqRel" => Ordering::AcqRel,
        _ => panic!("{variant} is no ordering"),
    }
}

/// `order`, or a weaker one.
pub fn ordering(site: u32, order: Ordering) -> Ordering {
    chosen(site).map_or(order, named)
}

/// A fence, a weaker one, or none.
pub fn fence(site: u32, order: Ordering) {
    match chosen(site) {
        None => super::fence(order),
        Some("removed") => {}
        Some(weaker) => super::fence(named(weaker)),
    }
}

/// `value`, or 0 where it is left out.
pub fn unless<T: Default>(site: u32, value: T) -> T {
    if chosen(site).is_some() { T::default() } else { value }
}

/// The halves of an ordering, for a load and a store.
fn halves(order: Ordering) -> (Ordering, Ordering) {
    match order {
        Ordering::Acquire => (Ordering::Acquire, Ordering::Relaxed),
        Ordering::Release => (Ordering::Relaxed, Ordering::Release),
        Ordering::AcqRel => (Ordering::Acquire, Ordering::Release),
        Ordering::SeqCst => (Ordering::SeqCst, Ordering::SeqCst),
        _ => (order, order),
    }
}

/// Read-modify-writes that a switch splits into a load and a store.
pub trait Split<V: Copy + PartialEq> {
    fn load_half(&self, order: Ordering) -> V;
    fn store_half(&self, value: V, order: Ordering);
    fn swap_at(&self, site: u32, value: V, order: Ordering) -> V;
    fn compare_exchange_at(
        &self, site: u32, current: V, new: V, success: Ordering, failure: Ordering,
    ) -> Result<V, V>;
    fn fetch_update_at(
        &self, site: u32, success: Ordering, failure: Ordering, update: impl FnMut(V) -> Option<V>,
    ) -> Result<V, V>;

    fn compare_exchange_weak_at(
        &self, site: u32, current: V, new: V, success: Ordering, failure: Ordering,
    ) -> Result<V, V> {
        self.compare_exchange_at(site, current, new, success, failure)
    }

    fn split(&self, order: Ordering, change: impl FnOnce(V) -> V) -> V {
        let (load, store) = halves(order);
        let before = self.load_half(load);
        self.store_half(change(before), store);
        before
    }
}

/// The arithmetic among them.
pub trait SplitInteger<V> {
    fn fetch_add_at(&self, site: u32, by: V, order: Ordering) -> V;
    fn fetch_sub_at(&self, site: u32, by: V, order: Ordering) -> V;
    fn fetch_or_at(&self, site: u32, bits: V, order: Ordering) -> V;
    fn fetch_and_at(&self, site: u32, bits: V, order: Ordering) -> V;
    fn fetch_max_at(&self, site: u32, value: V, order: Ordering) -> V;
}

macro_rules! split {
    ($name:ty, $value:ty $(, $of:ident)?) => {
        impl$(<$of>)? Split<$value> for $name {
            fn load_half(&self, order: Ordering) -> $value {
                self.load(order)
            }

            fn store_half(&self, value: $value, order: Ordering) {
                self.store(value, order);
            }

            fn swap_at(&self, site: u32, value: $value, order: Ordering) -> $value {
                match chosen(site) {
                    None => self.swap(value, order),
                    Some(_) => self.split(order, |_| value),
                }
            }

            fn compare_exchange_at(
                &self, site: u32, current: $value, new: $value, success: Ordering, failure: Ordering,
            ) -> Result<$value, $value> {
                if chosen(site).is_none() {
                    return self.compare_exchange(current, new, success, failure);
                }
                // The stronger of what a success and a failure acquire.
                let acquires = matches!(success, Ordering::Acquire | Ordering::AcqRel);
                let now = self.load(if acquires { Ordering::Acquire } else { failure });
                if now != current {
                    return Err(now);
                }
                self.store(new, halves(success).1);
                Ok(now)
            }

            fn fetch_update_at(
                &self, site: u32, success: Ordering, failure: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                if chosen(site).is_none() {
                    return self.fetch_update(success, failure, update);
                }
                let now = self.load(failure);
                let next = update(now).ok_or(now)?;
                self.store(next, halves(success).1);
                Ok(now)
            }
        }
    };
}

macro_rules! split_integer {
    ($($name:ident: $value:ty),*) => { $(
        impl SplitInteger<$value> for $name {
            fn fetch_add_at(&self, site: u32, by: $value, order: Ordering) -> $value {
                match chosen(site) {
                    None => self.fetch_add(by, order),
                    Some(_) => self.split(order, |now| now.wrapping_add(by)),
                }
            }

            fn fetch_sub_at(&self, site: u32, by: $value, order: Ordering) -> $value {
                match chosen(site) {
                    None => self.fetch_sub(by, order),
                    Some(_) => self.split(order, |now| now.wrapping_sub(by)),
                }
            }

            fn fetch_or_at(&self, site: u32, bits: $value, order: Ordering) -> $value {
                match chosen(site) {
                    None => self.fetch_or(bits, order),
                    Some(_) => self.split(order, |now| now | bits),
                }
            }

            fn fetch_and_at(&self, site: u32, bits: $value, order: Ordering) -> $value {
                match chosen(site) {
                    None => self.fetch_and(bits, order),
                    Some(_) => self.split(order, |now| now & bits),
                }
            }

            fn fetch_max_at(&self, site: u32, value: $value, order: Ordering) -> $value {
                match chosen(site) {
                    None => self.fetch_max(value, order),
                    Some(_) => self.split(order, |now| now.max(value)),
                }
            }
        }
    )* };
}

split!(AtomicBool, bool);
split!(AtomicPtr<T>, *mut T, T);
split!(AtomicU8, u8);
split!(AtomicU32, u32);
split!(AtomicU64, u64);
split_integer!(AtomicU8: u8, AtomicU32: u32, AtomicU64: u64);
