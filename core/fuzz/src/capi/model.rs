//! What the calls made, and the bytes that each view must show.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_int, c_void};
use std::ptr::{NonNull, null_mut};
use std::rc::Rc;

use skbpool_capi::{ArmedSlot, Cache, Code, RawSkb, Table};
use skbpool_pool::{BufferHeader, Pool, SkbBatch};

use crate::numbers::Numbers;
use crate::rig::assert_all_home;

/// Bytes of the memory that a caller brings.
pub(super) const BROUGHT: usize = 8192;
const LAYOUT: Layout = match Layout::from_size_align(BROUGHT + 64, 64) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

pub(super) fn api() -> &'static Table {
    skbpool_capi::table()
}

/// Whether a function failed; its code must be one of the list.
pub(super) fn failed(code: c_int) -> bool {
    assert!(Code::ALL.iter().any(|known| *known as c_int == code), "code {code}");
    if code != 0 {
        let mut text = [0u8; 200];
        // SAFETY: a place of that size.
        let length = unsafe { (api().skb_last_error)(text.as_mut_ptr().cast(), text.len()) };
        assert!(length > 0, "a failure without words");
    }
    code != 0
}

/// One skb and its bytes.
pub(super) struct View {
    pub(super) raw: RawSkb,
    pub(super) bytes: Vec<u8>,
}

impl View {
    /// A new view of `len` bytes, whatever they are.
    pub(super) fn new(raw: RawSkb, len: u32) -> Self {
        let bytes = bytes_of(&raw);
        assert_eq!(bytes.len(), len as usize);
        Self { raw, bytes }
    }
}

/// The bytes that a view shows.
pub(super) fn bytes_of(raw: &RawSkb) -> Vec<u8> {
    // SAFETY: an skb of the model, and a place for all its bytes.
    unsafe {
        let mut bytes = vec![0xdd; (api().skb_len)(raw) as usize];
        let code = (api().skb_copy_bits)(raw, 0, bytes.as_mut_ptr().cast(), (api().skb_len)(raw));
        assert!(!failed(code));
        bytes
    }
}

/// Memory that was brought: freed by the free function, once.
struct Brought {
    memory: *mut u8,
    /// Alive as long as the memory is.
    _alive: Rc<()>,
}

unsafe extern "C" fn free_brought(_: *mut BufferHeader, context: *mut c_void) {
    // SAFETY: the context of `Model::brought`, given to one buffer, whose free function runs once.
    unsafe {
        let brought = Box::from_raw(context.cast::<Brought>());
        dealloc(brought.memory, LAYOUT);
    }
}

/// Everything that an input made.
pub(super) struct Model {
    pub(super) pool: *mut Pool,
    pub(super) cache: *mut Cache,
    pub(super) batch: *mut SkbBatch,
    pub(super) batched: Vec<Vec<u8>>,
    pub(super) buffers: [*mut BufferHeader; 4],
    pub(super) armed: [ArmedSlot; 2],
    pub(super) views: [Option<View>; 8],
    /// Cloned by memory that was brought and not freed.
    alive: Rc<()>,
}

impl Model {
    pub(super) fn new() -> Self {
        let mut pool = null_mut();
        // SAFETY: a name and a place for the pointer, then a pool.
        let (cache, batch) = unsafe {
            assert!(!failed((api().skb_pool_create)(c"fuzz".as_ptr(), 16, 0, &mut pool)));
            ((api().skb_cache_create)(pool), (api().skb_batch_create)())
        };
        Self {
            pool,
            cache,
            batch,
            batched: Vec::new(),
            buffers: [null_mut(); 4],
            armed: Default::default(),
            views: Default::default(),
            alive: Rc::new(()),
        }
    }

    pub(super) fn buffer_place(&self, input: &mut Numbers<'_>) -> usize {
        usize::from(input.u8()) % self.buffers.len()
    }

    pub(super) fn armed_place(&self, input: &mut Numbers<'_>) -> usize {
        usize::from(input.u8()) % self.armed.len()
    }

    pub(super) fn view_place(&self, input: &mut Numbers<'_>) -> usize {
        usize::from(input.u8()) % self.views.len()
    }

    /// A place without a view; what was there is released.
    pub(super) fn free_view(&mut self, input: &mut Numbers<'_>) -> usize {
        let free = self.views.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| self.view_place(input));
        self.release(place);
        place
    }

    fn release(&mut self, place: usize) {
        if let Some(mut view) = self.views[place].take() {
            // SAFETY: the model owns the view.
            unsafe { (api().skb_release)(&mut view.raw) };
        }
    }

    /// Memory and what frees it.
    fn brought(&self) -> (*mut u8, *mut c_void) {
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        let memory = NonNull::new(memory).expect("8 KiB").as_ptr();
        let brought = Box::new(Brought { memory, _alive: Rc::clone(&self.alive) });
        (memory, Box::into_raw(brought).cast())
    }

    /// S1: a header at the head of memory, `misaligned` bytes off.
    ///
    /// # Safety
    /// - `size` is at most [`BROUGHT`], or more than a buffer can have.
    pub(super) unsafe fn init(&mut self, place: usize, size: usize, misaligned: usize, order: u8) {
        let (memory, context) = self.brought();
        let header = memory.wrapping_add(misaligned).cast::<BufferHeader>();
        // SAFETY: memory of that size, which the free function frees; if it is refused, it is ours.
        unsafe {
            let free = Some(free_brought as _);
            let code =
                (api().init_zero_copy_buffer)(header, size, order, free, context, null_mut(), None);
            let refused = misaligned % 64 != 0 || !(64..=BROUGHT).contains(&size);
            assert_eq!(failed(code), refused, "{size} bytes, {misaligned} off");
            if refused {
                free_brought(null_mut(), context);
            } else {
                assert_eq!((api().skb_buffer_size)(header) as usize, size - 64);
                self.buffers[place] = header;
            }
        }
    }

    /// Memory that is left as it is.
    ///
    /// # Safety
    /// - As for [`Model::init`].
    pub(super) unsafe fn adopt(&mut self, place: usize, size: usize, kind: u8) {
        let (memory, context) = self.brought();
        let writable = c_int::from(kind & 4);
        // SAFETY: as above.
        unsafe {
            let free = Some(free_brought as _);
            let out = &mut self.buffers[place];
            let code = (api().adopt_memory)(
                memory.cast(),
                size,
                writable,
                free,
                context,
                null_mut(),
                None,
                out,
            );
            assert_eq!(failed(code), size > BROUGHT);
            if code != 0 {
                assert!(out.is_null());
                free_brought(null_mut(), context);
            } else {
                assert_eq!((api().skb_buffer_data)(*out), memory);
                assert_eq!((api().skb_buffer_size)(*out) as usize, size);
            }
        }
    }

    /// Asserts that each view shows its bytes, and that only who is alone may write.
    pub(super) fn check(&self) {
        for view in self.views.iter().flatten() {
            assert!(bytes_of(&view.raw) == view.bytes, "other bytes");
            // SAFETY: views of the model.
            unsafe {
                let (shared, writable) =
                    ((api().skb_is_shared)(&view.raw), (api().skb_is_writable)(&view.raw));
                assert!(shared == 0 || writable == 0, "written by one, seen by another");
            }
        }
        let mut count = 0;
        // SAFETY: the model's batch, and a place for the count.
        unsafe {
            let skbs = (api().skb_batch_skbs)(self.batch, &mut count);
            assert_eq!(count, self.batched.len());
            for (position, bytes) in self.batched.iter().enumerate() {
                assert!(bytes_of(&*skbs.add(position)) == *bytes, "other bytes in the batch");
            }
        }
    }

    /// Gives everything back and asserts that all of it came home, and what was brought was freed.
    pub(super) fn end(mut self) {
        (0..self.views.len()).for_each(|place| self.release(place));
        // SAFETY: everything is the model's and is given back once.
        unsafe {
            self.buffers.iter_mut().for_each(|buffer| (api().skb_buffer_put)(buffer));
            self.armed.iter_mut().for_each(|armed| (api().skb_armed_put)(armed));
            (api().skb_batch_free)(&mut self.batch);
            (api().skb_cache_free)(&mut self.cache);
            assert_all_home(&*self.pool);
            assert_eq!((api().skb_pool_close)(self.pool), 0);
            (api().skb_pool_put)(&mut self.pool);
        }
        assert_eq!(Rc::strong_count(&self.alive), 1, "memory that was brought is not freed");
    }
}
