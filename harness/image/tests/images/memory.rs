//! Counts the memory that a thread takes from the allocator, so that a test can bound it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes in use, of what this thread asked for, and the most that there ever were.
    static USE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator with a counter.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // While a thread ends there is nothing left to count in.
    let _ = USE.try_with(|used| {
        let (now, peak) = used.get();
        let now = now + bytes;
        used.set((now, peak.max(now)));
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The most bytes that this thread had in use while it ran `work`, beyond those of before.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (before, _) = USE.get();
    USE.set((before, before));
    let result = work();
    let (_, peak) = USE.get();
    (result, (peak - before).max(0) as usize)
}
