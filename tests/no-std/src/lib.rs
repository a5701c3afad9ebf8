//! The core without std, on this host. Its allocator has nothing to give: it is built, never run.
#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use synfin_stack::{Stack, StackConfig};
use synfin_stack::engine::{Rng, TcpConfig};

struct None;

// SAFETY: a null pointer says that there is no memory, which is always allowed.
unsafe impl GlobalAlloc for None {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: None = None;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Draws the whole of the core into the library.
#[unsafe(no_mangle)]
pub extern "C" fn synfin_connections(seed: u64) -> usize {
    Stack::new(StackConfig::default(), TcpConfig::default(), Rng::from_number(seed)).occupancy().connections
}
