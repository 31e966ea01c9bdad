//! The reference count between many threads: one of them is told that it was the last (I2, I3).

use super::together;
use crate::header::{BufferHeader, MAX_REFERENCES, Put};
use crate::sync::explore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn droppers(counts: &'static [u32]) {
    let header = Arc::new(BufferHeader::of_nothing(counts.iter().sum()));
    let last = Arc::new(AtomicU32::new(0));
    let parts = counts.iter().map(|&count| -> Box<dyn FnOnce() + Send> {
        let (header, last) = (Arc::clone(&header), Arc::clone(&last));
        Box::new(move || {
            // As a view that is cloned and both of which go.
            assert!(header.get(1));
            for count in [1, count] {
                if header.put(count) == Put::Last {
                    // Relaxed: no part of the scenario.
                    last.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    });
    together(parts.collect());
    assert_eq!(last.load(Ordering::Relaxed), 1);
    assert_eq!(header.references(), 0);
}

#[test]
fn eight_droppers_that_clone() {
    explore(|| droppers(&[1, 2, 1, 3, 1, 1, 2, 1]));
}

/// At two below the limit, of six that want one more, two get it whatever the others do meanwhile, or
/// fewer: never more.
#[test]
fn clones_at_the_limit() {
    explore(|| {
        let header = Arc::new(BufferHeader::of_nothing(MAX_REFERENCES - 2));
        let got = Arc::new(AtomicU32::new(0));
        let parts = (0..6).map(|_| -> Box<dyn FnOnce() + Send> {
            let (header, got) = (Arc::clone(&header), Arc::clone(&got));
            Box::new(move || {
                // Relaxed: no part of the scenario.
                got.fetch_add(u32::from(header.get(1)), Ordering::Relaxed);
            })
        });
        together(parts.collect());
        let got = got.load(Ordering::Relaxed);
        assert!(got <= 2, "{got} references above the limit");
        assert_eq!(header.references(), MAX_REFERENCES - 2 + got, "nothing of a refusal stays");
    });
}
