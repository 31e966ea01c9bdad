//! The C functions, called in any order with any numbers: a code that is listed, nothing changed where
//! one failed, every view's bytes as a model has them, and everything home at the end.

mod model;

use skbpool_capi::{ArmedSlot, RawSkb};
use std::ptr::{null, null_mut};

use crate::numbers::Numbers;
use model::{Model, View, api, bytes_of, failed};

/// Calls, each with its arguments.
pub(crate) fn capi(data: &[u8]) {
    let mut input = Numbers::new(data);
    let mut model = Model::new();
    while !input.is_empty() {
        step(&mut model, &mut input);
        model.check();
    }
    model.end();
}

fn step(model: &mut Model, input: &mut Numbers<'_>) {
    let call = input.u8();
    match call % 28 {
        0 => alloc(model, input),
        1 => bring(model, input),
        2 => from_buffer(model, input),
        3 => arm(model, input),
        4 | 5 => cut(model, input),
        6 => zero_copy(model, input),
        7 => buffer_put(model, input),
        8 => {
            let place = model.armed_place(input);
            // SAFETY: a slot that was filled by the table, or is all zeros.
            unsafe { (api().skb_armed_put)(&mut model.armed[place]) };
        }
        9 => release(model, input),
        10 | 11 => derive(model, input, call),
        12 => copy_bits(model, input),
        13..=15 => grow(model, input, call),
        16..=18 => shrink(model, input, call),
        19 | 20 => append(model, input),
        21..=24 => copying(model, input, call),
        _ => batch(model, input, call),
    }
}

fn alloc(model: &mut Model, input: &mut Numbers<'_>) {
    let place = model.buffer_place(input);
    // SAFETY: places of the model, here and below: a buffer's is null or owns a reference.
    unsafe {
        (api().skb_buffer_put)(&mut model.buffers[place]);
        let out = &mut model.buffers[place];
        let code = if input.u8() & 1 == 0 {
            (api().skb_pool_alloc)(model.pool, out)
        } else {
            (api().skb_cache_alloc)(model.cache, out)
        };
        if !failed(code) {
            // The rest of what another view had is none of the model's business.
            (api().skb_buffer_data)(*out).write_bytes(0, (api().skb_buffer_size)(*out) as usize);
        }
    }
}

/// Memory of the caller's own, in both ways, with sizes and places that may be impossible.
fn bring(model: &mut Model, input: &mut Numbers<'_>) {
    let place = model.buffer_place(input);
    let kind = input.u8();
    let size = input.size(model::BROUGHT as u32) as usize;
    let too_large = usize::MAX - size;
    let size = if kind & 1 == 0 { size.min(model::BROUGHT) } else { too_large };
    // SAFETY: `size` bytes are there, or no buffer can have so many and nothing is touched.
    unsafe {
        (api().skb_buffer_put)(&mut model.buffers[place]);
        if kind & 2 == 0 {
            let misaligned = if kind & 4 == 0 { 0 } else { usize::from(kind >> 3) };
            model.init(place, size, misaligned, kind);
        } else {
            model.adopt(place, size, kind);
        }
    }
}

fn from_buffer(model: &mut Model, input: &mut Numbers<'_>) {
    let (from, to) = (model.buffer_place(input), model.free_view(input));
    let (start, len) = (input.size(4096), input.size(4096));
    let before = model.buffers[from];
    let mut out = RawSkb::released();
    // SAFETY: as above.
    let code = unsafe { (api().skb_from_buffer)(&mut out, &mut model.buffers[from], start, len) };
    if failed(code) {
        assert_eq!(model.buffers[from], before, "the caller still owns it");
    } else {
        assert!(model.buffers[from].is_null());
        model.views[to] = Some(View::new(out, len));
    }
}

fn arm(model: &mut Model, input: &mut Numbers<'_>) {
    let (from, to) = (model.buffer_place(input), model.armed_place(input));
    let views = input.size(1 << 30);
    let before = model.buffers[from];
    let mut armed = ArmedSlot::default();
    // SAFETY: as above; what the slot had goes first.
    unsafe {
        let code = (api().skb_buffer_arm)(&mut model.buffers[from], views, &mut armed);
        if failed(code) {
            assert_eq!(model.buffers[from], before, "the caller still owns it");
        } else {
            assert!(model.buffers[from].is_null());
            (api().skb_armed_put)(&mut model.armed[to]);
            model.armed[to] = armed;
        }
    }
}

fn cut(model: &mut Model, input: &mut Numbers<'_>) {
    let (from, to) = (model.armed_place(input), model.free_view(input));
    let [offset, len, head, tail] = [(); 4].map(|()| input.size(4096));
    let mut out = RawSkb::released();
    // SAFETY: as above.
    unsafe {
        let armed = &mut model.armed[from];
        if !failed((api().skb_armed_cut)(armed, &mut out, offset, len, head, tail)) {
            assert_eq!((api().skb_headroom)(&out), head);
            assert_eq!((api().skb_tailroom)(&out), tail);
            model.views[to] = Some(View::new(out, len));
        }
    }
}

/// A view beside the driver's own reference, at an address that may lie anywhere.
fn zero_copy(model: &mut Model, input: &mut Numbers<'_>) {
    let (from, to) = (model.buffer_place(input), model.free_view(input));
    let (at, size) = (input.size(4096), input.size(4096));
    let header = model.buffers[from];
    let mut out = RawSkb::released();
    // SAFETY: as above; null is refused.
    unsafe {
        let data = if header.is_null() { null_mut() } else { (api().skb_buffer_data)(header) };
        let data = data.wrapping_offset(at as i32 as isize);
        if !failed((api().make_zero_copy_skb)(&mut out, size, data.cast(), header)) {
            let room = u64::from((api().skb_buffer_size)(header));
            assert!(u64::from(at) + u64::from(size) <= room);
            model.views[to] = Some(View::new(out, size));
        }
    }
}

fn buffer_put(model: &mut Model, input: &mut Numbers<'_>) {
    let place = model.buffer_place(input);
    // SAFETY: as above; the second time it is null.
    unsafe {
        (api().skb_buffer_put)(&mut model.buffers[place]);
        (api().skb_buffer_put)(&mut model.buffers[place]);
    }
    assert!(model.buffers[place].is_null());
}

fn release(model: &mut Model, input: &mut Numbers<'_>) {
    let place = model.view_place(input);
    let Some(mut view) = model.views[place].take() else { return };
    // SAFETY: the model owns the view; released twice, the second time there is none.
    unsafe {
        match input.u8() % 3 {
            0 => (api().skb_release)(&mut view.raw),
            1 => (api().skb_release_many)(&mut view.raw, 1),
            _ => (api().skb_cache_release)(model.cache, &mut view.raw, 1),
        }
        assert!(view.raw.header.is_null());
        (api().skb_release)(&mut view.raw);
    }
}

fn derive(model: &mut Model, input: &mut Numbers<'_>, call: u8) {
    let (from, to) = (model.view_place(input), model.free_view(input));
    let (offset, len) = (input.size(4096), input.size(4096));
    let Some(view) = &model.views[from] else { return };
    let mut out = RawSkb::released();
    // SAFETY: as above.
    let bytes = unsafe {
        if call % 28 == 10 {
            if failed((api().skb_clone)(&mut out, &view.raw)) {
                return;
            }
            view.bytes.clone()
        } else {
            if failed((api().skb_slice)(&mut out, &view.raw, offset, len)) {
                return;
            }
            view.bytes[offset as usize..][..len as usize].to_vec()
        }
    };
    model.views[to] = Some(View { raw: out, bytes });
}

fn copy_bits(model: &mut Model, input: &mut Numbers<'_>) {
    let place = model.view_place(input);
    let (offset, len) = (input.size(4096), input.size(4096));
    let Some(view) = &model.views[place] else { return };
    let end = u64::from(offset) + u64::from(len);
    let mut room = vec![0; if end > view.bytes.len() as u64 { 0 } else { len as usize }];
    // SAFETY: as above; a range beyond the view is refused before anything is written.
    let code = unsafe { (api().skb_copy_bits)(&view.raw, offset, room.as_mut_ptr().cast(), len) };
    assert_eq!(failed(code), end > view.bytes.len() as u64);
    assert_eq!(room, view.bytes.get(offset as usize..).map_or(&[][..], |rest| &rest[..room.len()]));
}

/// Verbs that yield bytes to write: `data_mut`, `push`, `put`.
fn grow(model: &mut Model, input: &mut Numbers<'_>, call: u8) {
    let place = model.view_place(input);
    let (bytes, byte) = (input.size(4096), input.u8());
    let Some(view) = &mut model.views[place] else { return };
    let mut at = null_mut::<u8>();
    // SAFETY: as above; so many bytes may be written as the verb says.
    unsafe {
        let room = ((api().skb_headroom)(&view.raw), (api().skb_tailroom)(&view.raw));
        let linear = view.raw.get().map_or(0, |skb| skb.data().len());
        let (code, count) = match call % 28 {
            // Of a chain, what lies in the first buffer.
            13 => ((api().skb_data_mut)(&mut view.raw, &mut at), linear),
            14 => ((api().skb_push)(&mut view.raw, bytes, &mut at), bytes as usize),
            _ => ((api().skb_put)(&mut view.raw, bytes, &mut at), bytes as usize),
        };
        if failed(code) {
            assert_eq!(((api().skb_headroom)(&view.raw), (api().skb_tailroom)(&view.raw)), room);
            return;
        }
        at.write_bytes(byte, count);
        match call % 28 {
            13 => view.bytes[..count].fill(byte),
            14 => drop(view.bytes.splice(0..0, std::iter::repeat_n(byte, count))),
            _ => view.bytes.resize(view.bytes.len() + count, byte),
        }
    }
}

/// Verbs that move a border over data: `pull`, `trim`, `reserve`.
fn shrink(model: &mut Model, input: &mut Numbers<'_>, call: u8) {
    let place = model.view_place(input);
    let bytes = input.size(4096);
    let Some(view) = &mut model.views[place] else { return };
    // SAFETY: as above.
    unsafe {
        match call % 28 {
            16 if !failed((api().skb_pull)(&mut view.raw, bytes)) => {
                drop(view.bytes.drain(..bytes as usize));
            }
            17 if !failed((api().skb_trim)(&mut view.raw, bytes)) => {
                view.bytes.truncate(bytes as usize);
            }
            18 if !failed((api().skb_reserve)(&mut view.raw, bytes)) => {
                assert!(view.bytes.is_empty(), "there was data");
            }
            _ => {}
        }
    }
}

fn append(model: &mut Model, input: &mut Numbers<'_>) {
    let (front, behind) = (model.view_place(input), model.view_place(input));
    if front == behind || model.views[front].is_none() || model.views[behind].is_none() {
        return;
    }
    let (Some(mut first), Some(mut other)) =
        (model.views[front].take(), model.views[behind].take())
    else {
        return;
    };
    // A chain appended to itself again and again would grow beyond what is worth comparing.
    if first.bytes.len() + other.bytes.len() <= 1 << 16 {
        // SAFETY: as above.
        let code = unsafe { (api().skb_append_frag)(&mut first.raw, &mut other.raw) };
        assert_eq!(failed(code), !other.raw.header.is_null(), "moved, or still the caller's");
        if other.raw.header.is_null() {
            first.bytes.extend(&other.bytes);
        }
    }
    model.views[front] = Some(first);
    model.views[behind] = (!other.raw.header.is_null()).then_some(other);
}

/// Verbs that copy into a buffer of the named pool, or of the view's own.
fn copying(model: &mut Model, input: &mut Numbers<'_>, call: u8) {
    let (from, to) = (model.view_place(input), model.free_view(input));
    let (bytes, named) = (input.size(4096), input.u8());
    let pool = if named & 1 == 0 { null() } else { model.pool.cast_const() };
    let Some(view) = &mut model.views[from] else { return };
    // SAFETY: as above.
    unsafe {
        match call % 28 {
            21 => {
                let mut out = RawSkb::released();
                if !failed((api().skb_copy)(&mut out, &view.raw, pool)) {
                    let bytes = view.bytes.clone();
                    model.views[to] = Some(View { raw: out, bytes });
                }
            }
            22 if !failed((api().skb_unshare)(&mut view.raw, pool)) => {
                assert_eq!((api().skb_is_writable)(&view.raw), 1);
            }
            23 => drop(failed((api().skb_linearize)(&mut view.raw, pool))),
            24 if !failed((api().skb_pull_up)(&mut view.raw, bytes, pool)) => {
                assert!(bytes as usize <= view.bytes.len());
                assert_eq!(
                    std::slice::from_raw_parts((api().skb_data)(&view.raw), bytes as usize),
                    &view.bytes[..bytes as usize]
                );
            }
            _ => {}
        }
    }
}

fn batch(model: &mut Model, input: &mut Numbers<'_>, call: u8) {
    let place = model.view_place(input);
    // SAFETY: as above; the batch is the model's.
    unsafe {
        match call % 28 {
            25 => {
                let Some(mut view) = model.views[place].take() else { return };
                assert!(!failed((api().skb_batch_push)(model.batch, &mut view.raw)));
                assert!(view.raw.header.is_null());
                model.batched.push(view.bytes);
            }
            26 => {
                let to = model.free_view(input);
                let mut out = RawSkb::released();
                if failed((api().skb_batch_pop)(model.batch, &mut out)) {
                    assert!(model.batched.is_empty());
                } else {
                    let bytes = model.batched.pop().expect("as many as in the batch");
                    assert_eq!(bytes_of(&out), bytes);
                    model.views[to] = Some(View { raw: out, bytes });
                }
            }
            _ if input.u8() & 7 == 0 => {
                (api().skb_batch_release)(model.batch);
                model.batched.clear();
            }
            _ if model.batched.len() < 16
                && !failed((api().skb_batch_clone)(model.batch, model.batch)) =>
            {
                model.batched.extend_from_within(..);
            }
            _ => {}
        }
    }
}
