//! Pages for key material, from the operating system: the one file of this project with `unsafe`.
//!
//! Knows nothing of keys or of who uses which part of a page: it maps blocks, asks the kernel to
//! keep them in memory and out of core dumps, and gives each away once, as an ordinary exclusive
//! slice. Dividing them, lending parts, taking them back and overwriting them is safe code in
//! `pool`.
//!
//! # Proof
//!
//! What must hold is that the `&'static mut [u8]` in a [`Block`] is one.
//!
//! - **Valid for ever.** [`map`] asks for a new private anonymous mapping at an address of the
//!   kernel's choice, so that no existing mapping is touched, and nothing in this project unmaps,
//!   remaps or changes the protection of any memory: this file does not import the functions that
//!   could, and no other file may hold `unsafe` (`tests/tests/unsafe_code.rs`). What is never given
//!   back cannot be used after it was: there is no free, hence no double free.
//! - **Initialised.** The kernel fills anonymous pages with zeros, and every byte is a valid `u8`.
//! - **Aligned and in bounds.** A `u8` needs no alignment; the mapping has [`BLOCK_BYTES`] bytes,
//!   far below `isize::MAX`, and its address is not null: the kernel maps nothing there unless told
//!   to with a fixed address.
//! - **Exclusive.** The address comes from this one call and is turned into one reference, after
//!   the last use of the pointer. The pointer is not kept, and the mapping is private, so that no
//!   other process writes to it either.
//! - **The advice changes no byte that this process sees.** `mlock` and `MADV_DONTDUMP` touch no
//!   content. `MADV_WIPEONFORK` gives a *child* zeros in place of keys, which are valid bytes;
//!   `MADV_DONTFORK` would leave the child's references dangling and is not used. Whoever forks
//!   without `exec` needs `unsafe` for it, and finds its keys gone.
//! - **Threads.** There is no state here, and no `unsafe impl`: `Send` and `Sync` are those that the
//!   compiler gives `&mut [u8]`.
#![expect(
    unsafe_code,
    reason = "mapping, locking and advising pages are system calls on raw addresses; see the proof"
)]

use std::{io, ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Bytes of a block: whole pages where pages have up to 16 KiB.
pub(super) const BLOCK_BYTES: usize = 16 << 10;

/// Pages that are this process's until it ends.
pub(super) struct Block {
    /// Zeros.
    pub(super) bytes: &'static mut [u8],
    /// Whether they stay out of swap.
    pub(super) locked: bool,
}

/// Maps a block. Where it cannot be locked (`RLIMIT_MEMLOCK`) it says so and is good otherwise.
///
/// # Errors
///
/// Those of `mmap`: there is no memory.
pub(super) fn map() -> io::Result<Block> {
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            BLOCK_BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    #[cfg(all(target_os = "linux", not(miri)))]
    for advice in [
        rustix::mm::Advice::LinuxDontDump,
        rustix::mm::Advice::LinuxWipeOnFork,
    ] {
        // SAFETY: the range is the mapping made above, to which no reference exists yet; neither
        // advice changes what this process reads. A kernel that does not know one refuses it.
        let _ = unsafe { rustix::mm::madvise(start, BLOCK_BYTES, advice) };
    }
    // SAFETY: the range is the mapping made above; locking changes no content.
    #[cfg(not(miri))]
    let locked = unsafe { rustix::mm::mlock(start, BLOCK_BYTES) }.is_ok();
    // The interpreter knows no swap.
    #[cfg(miri)]
    let locked = false;
    // SAFETY: mapped above with this length, readable and writable, zero, never unmapped, and
    // `start` is not used again: the proof at the top, point by point.
    let bytes = unsafe { slice::from_raw_parts_mut(start.cast::<u8>(), BLOCK_BYTES) };
    Ok(Block { bytes, locked })
}
