//! Keeping the library mapped that a free function's code lies in (S6).

use crate::failure::{Failure, answer};
use skbpool_pool::OwnerPutFn;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// Where the object that holds `address` is loaded, and its name.
fn object_of(address: *const c_void) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr looks any address up, and fills `info` if it finds it.
    let found = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    // SAFETY: filled, as the answer says.
    (found != 0).then(|| unsafe { info.assume_init() })
}

/// Whether `info` is the program itself, which is never unmapped.
fn is_program(info: &libc::Dl_info) -> bool {
    // SAFETY: getauxval reads a table of the process.
    let program = unsafe { libc::getauxval(libc::AT_PHDR) } as *const c_void;
    object_of(program).is_some_and(|program| program.dli_fbase == info.dli_fbase)
}

pub(crate) unsafe extern "C" fn skb_library_get(
    function: Option<unsafe extern "C" fn()>,
    owner: *mut *mut c_void,
    put: *mut Option<OwnerPutFn>,
) -> c_int {
    answer((|| {
        let address = function.map_or(null_mut(), |function| function as *mut c_void);
        let info = object_of(address).ok_or(Failure::NoLibrary)?;
        let (handle, put_function): (_, Option<OwnerPutFn>) = if is_program(&info) {
            (null_mut(), None)
        } else {
            // SAFETY: the name is that of a loaded object, which RTLD_NOLOAD finds without opening
            // any file; one more reference to it is taken.
            let handle =
                unsafe { libc::dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
            if handle.is_null() {
                return Err(Failure::NoLibrary);
            }
            (handle, Some(skb_library_put))
        };
        // SAFETY: the caller gives places for both.
        unsafe {
            owner.write(handle);
            put.write(put_function);
        }
        Ok(())
    })())
}

pub(crate) unsafe extern "C" fn skb_library_put(owner: *mut c_void) {
    if !owner.is_null() {
        // SAFETY: the owner is a handle that `skb_library_get` opened, closed once. This code lies
        // in another object than the one that may be unmapped now.
        unsafe { libc::dlclose(owner) };
    }
}
