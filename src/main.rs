//! The `trailmill` program; everything is in the library.

use std::process::ExitCode;

/// 0.59 s against 0.83 s (docs/benchmarks.md#allocator) with the system's allocator.
#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds that free memory stays with mimalloc, unless `MIMALLOC_PURGE_DELAY` says otherwise. Its
/// own default, a second, is as much memory as is freed in a second. 20 GB of JSON, text columns: 62 s and
/// 545 MiB with 100, 63 s and 474 MiB with 2, 65 s and 455 MiB with 0.
#[cfg(not(feature = "system-allocator"))]
const PURGE_DELAY: std::ffi::c_long = 2;

/// Tells mimalloc when to give free memory back to the system.
#[cfg(not(feature = "system-allocator"))]
fn set_purge_delay() {
    /// `mi_option_purge_delay` of mimalloc.h, which has no name in Rust.
    const OPTION: libmimalloc_sys::mi_option_t = 15;
    #[expect(unsafe_code, reason = "mimalloc has no safe way to set an option")]
    // SAFETY: numbers go in, and any are allowed; no other thread runs yet.
    unsafe {
        libmimalloc_sys::mi_option_set_default(OPTION, PURGE_DELAY);
    }
}

/// Has mimalloc give free memory back once a second, whatever its own clock says. Its version 3 forgets for
/// good that there is anything to give back when a block is freed while another thread finds nothing to do
/// (`mi_arenas_try_purge` and `mi_arena_schedule_purge` in arena.c): seen in 2 of 16 conversions, which took
/// 820 MiB in place of 590.
#[cfg(not(feature = "system-allocator"))]
fn keep_purging() {
    let purge = || loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
        // A thread that has no memory of its own is passed over.
        drop(std::hint::black_box(Box::new(0_u8)));
        #[expect(unsafe_code, reason = "mimalloc has no safe way to collect")]
        // SAFETY: any thread may ask at any time.
        unsafe {
            libmimalloc_sys::mi_collect(true);
        }
    };
    // Without it, more memory may be used.
    let _ = std::thread::Builder::new().name("purge".into()).spawn(purge);
}

fn main() -> ExitCode {
    #[cfg(not(feature = "system-allocator"))]
    set_purge_delay();
    #[cfg(not(feature = "system-allocator"))]
    keep_purging();
    // The allocator asks for huge pages, which are cleared whole for the few bytes that are used of
    // many: without them two threads take 330 MiB instead of 430, and no more time. Where it cannot be
    // told, more memory is used.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    trailmill::cli::main()
}
