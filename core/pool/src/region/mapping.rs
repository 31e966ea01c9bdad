//! Memory that can be shared with another process later.

use super::{HugePages, RegionError};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use std::num::NonZero;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

const HUGE_PAGE: usize = 2 << 20;

/// Bytes below which a thread of its own is not worth it.
const LEAST_PART: usize = 64 << 20;

/// Threads that fill the page table of one region; more wait for one another.
const MOST_PARTS: usize = 4;

/// A memfd mapping, sealed against resizing, with all pages allocated; unmapped on drop.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    mapped: usize,
    huge: bool,
    /// Kept so that the region can be shared with another process later.
    _memory: OwnedFd,
}

// SAFETY: the mapping is plain memory; who may touch which part is decided by reference counts.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `bytes` bytes, rounded up to whole pages. Faults every page in, so that running out of
    /// memory is an error here and not a signal later.
    pub(crate) fn new(bytes: usize, huge: HugePages) -> Result<Self, RegionError> {
        let needed = bytes as u64;
        if huge != HugePages::Never {
            match Self::map(bytes.next_multiple_of(HUGE_PAGE), true) {
                Err(error) if huge == HugePages::Require => return Err(error),
                Err(_) => {}
                Ok(region) => return Ok(region),
            }
        }
        let available = available_memory();
        if needed > available {
            return Err(RegionError::OutOfMemory { needed, available });
        }
        Self::map(bytes.next_multiple_of(4096), false)
    }

    fn map(mapped: usize, huge: bool) -> Result<Self, RegionError> {
        let os = |call| move |source| RegionError::Os { call, source };
        let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        if huge {
            flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
        }
        let memory = rustix::fs::memfd_create("skbpool", flags).map_err(os("memfd_create"))?;
        rustix::fs::ftruncate(&memory, mapped as u64).map_err(os("ftruncate"))?;
        rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(&memory, FallocateFlags::empty(), 0, mapped as u64)
        })
        .map_err(os("fallocate"))?;
        rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
            .map_err(os("fcntl(F_ADD_SEALS)"))?;
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &memory,
                0,
            )
        }
        .map_err(os("mmap"))?;
        let Some(base) = NonNull::new(base.cast()) else {
            return Err(RegionError::Os { call: "mmap", source: rustix::io::Errno::NOMEM });
        };
        let region = Self { base, mapped, huge, _memory: memory };
        region.populate();
        Ok(region)
    }

    /// Enters every page in the page table, with helpers where there is much: filling it costs the
    /// kernel more than the pages did.
    fn populate(&self) {
        let helpers = std::thread::available_parallelism().map_or(1, NonZero::get);
        let parts = helpers.min(MOST_PARTS).min(self.mapped / LEAST_PART).max(1);
        let size = (self.mapped / parts).next_multiple_of(HUGE_PAGE);
        let populate = |part: usize| {
            let start = (part * size).min(self.mapped);
            let length = size.min(self.mapped - start);
            // SAFETY: the part lies in our mapping.
            let start = unsafe { self.base.as_ptr().add(start) };
            // SAFETY: as above; entering its pages changes no byte.
            let done =
                unsafe { rustix::mm::madvise(start.cast(), length, Advice::LinuxPopulateWrite) };
            if done.is_err() {
                // Kernels before 5.14.
                for page in (0..length).step_by(4096) {
                    // SAFETY: as above, and nobody else has the region yet.
                    unsafe { start.add(page).read_volatile() };
                }
            }
        };
        std::thread::scope(|scope| {
            for part in 1..parts {
                let helper = std::thread::Builder::new();
                if helper.spawn_scoped(scope, move || populate(part)).is_err() {
                    populate(part);
                }
            }
            populate(0);
        });
    }

    #[inline(always)]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn is_huge(&self) -> bool {
        self.huge
    }

    /// In a forked child: puts private memory in the mapping's place, with a copy of `parts` of it,
    /// the rest zero, and lets go of the memory that is the parent's. System calls and stores only.
    ///
    /// If there is no address space for the copy, the child keeps the shared pages, and may not write.
    pub(crate) fn keep(&self, parts: impl Iterator<Item = (NonNull<u8>, usize)>) {
        let base = self.base.as_ptr();
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing.
        let copy =
            unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), self.mapped, access, flags) };
        let moved = copy.and_then(|copy| {
            for (part, size) in parts {
                let offset = part.addr().get() - self.base.addr().get();
                // SAFETY: the part lies in the region, and the copy is as large.
                unsafe {
                    part.as_ptr().copy_to_nonoverlapping(copy.cast::<u8>().add(offset), size)
                };
            }
            let flags = MremapFlags::MAYMOVE;
            // SAFETY: both mappings are ours and of that size; whoever points into the region finds
            // the same bytes there.
            unsafe { rustix::mm::mremap_fixed(copy, self.mapped, self.mapped, flags, base.cast()) }
        });
        if moved.is_err() {
            // SAFETY: the mapping is ours.
            let _ = unsafe { rustix::mm::mprotect(base.cast(), self.mapped, MprotectFlags::READ) };
        }
        // The child's descriptor would keep the parent's memory as long as the child runs.
        if let Ok(empty) = rustix::fs::memfd_create("skbpool-forked", MemfdFlags::CLOEXEC) {
            // SAFETY: the number is that of `_memory`, which stays open, as another file; nobody maps
            // it again.
            unsafe { replace(&empty, self._memory.as_raw_fd()) };
        }
    }
}

/// Makes `number` another name of `file`.
///
/// # Safety
/// - `number` is an open descriptor that the caller owns.
unsafe fn replace(file: &OwnedFd, number: std::os::fd::RawFd) {
    use std::os::fd::FromRawFd;
    // SAFETY: as the caller promises; not closed here.
    let mut place = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    let _ = rustix::io::dup3(file, &mut place, rustix::io::DupFlags::CLOEXEC);
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever drops the region has shown that no view is left.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.mapped) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Bytes that can be allocated: the kernel's estimate, or what the control group leaves if less.
fn available_memory() -> u64 {
    let estimate = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|limit| limit.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    estimate.unwrap_or(u64::MAX).min(group.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zeroed_and_writable_to_its_last_byte() {
        let region = Region::new(10_000, HugePages::Try).unwrap();
        // SAFETY: the mapping has at least 10,000 bytes and nobody else uses it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(region.base().as_ptr(), 10_000) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        bytes[9_999] = 1;
    }

    #[test]
    fn every_page_of_all_parts_is_entered() {
        let mapped = 2 * LEAST_PART + (1 << 20);
        let region = Region::new(mapped, HugePages::Never).unwrap();
        let start = format!("{:x}-", region.base().as_ptr().addr());
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (_, own) = maps.split_once(&start).expect("the mapping is listed");
        let resident = own.lines().find(|line| line.starts_with("Rss:")).unwrap();
        assert_eq!(resident.split_whitespace().nth(1), Some(&*(mapped >> 10).to_string()));
    }

    #[test]
    fn more_than_the_machine_has_is_an_error_that_says_so() {
        let error = Region::new(1 << 50, HugePages::Never).unwrap_err();
        assert!(matches!(error, RegionError::OutOfMemory { needed, .. } if needed == 1 << 50));
        assert!(error.to_string().contains("make it smaller"));
    }
}
