//! What a model has in place of a mapping: heap memory, and cells that show who used it when.

use super::{HugePages, RegionError};
use crate::sync::UnsafeCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Outlives its region, so that a model can ask what became of it.
#[derive(Debug)]
pub(crate) struct Pages {
    touched: UnsafeCell<()>,
    unmapped: AtomicU32,
}

// SAFETY: that accesses to the cell are ordered is what models check.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Reads the memory: fails the model unless that comes before the unmapping.
    #[cfg(test)]
    pub(crate) fn touch(&self) {
        assert_eq!(self.unmapped(), 0, "memory used after it was unmapped");
        self.touched.with(|_| ());
    }

    /// How often the region was unmapped.
    #[cfg(test)]
    pub(crate) fn unmapped(&self) -> u32 {
        // Relaxed: models run on one thread of the system; this is no part of the model.
        self.unmapped.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) struct Region {
    memory: Box<[u64]>,
    pages: Arc<Pages>,
}

impl Region {
    pub(crate) fn new(bytes: usize, _: HugePages) -> Result<Self, RegionError> {
        let pages = Pages { touched: UnsafeCell::new(()), unmapped: AtomicU32::new(0) };
        Ok(Self { memory: vec![0; bytes.div_ceil(8)].into(), pages: Arc::new(pages) })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::from(&*self.memory).cast()
    }

    pub(crate) fn is_huge(&self) -> bool {
        false
    }

    #[cfg(test)]
    pub(crate) fn pages(&self) -> &Arc<Pages> {
        &self.pages
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Relaxed: as in `unmapped`.
        self.pages.unmapped.fetch_add(1, Ordering::Relaxed);
        self.pages.touched.with_mut(|_| ());
    }
}
