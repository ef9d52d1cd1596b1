//! A training step allocates nothing: more steps, no more allocations. What the product crate asks for itself at each
//! product does not count: packing buffers, which alone are aligned to whole vectors, and a few bytes of flags.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use lacuna::VaeConfig;

struct Counting;

fn count(layout: Layout) {
    let ours = layout.align() < 32 && layout.size() > 64;
    COUNT.fetch_add(usize::from(ours), Ordering::Relaxed);
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; only a number is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of a fit of so many steps.
fn allocations(steps: usize) -> usize {
    let df = crate::vae::frame(400);
    let config = VaeConfig::default().members(1).hidden(16).threads(1);
    let before = COUNT.load(Ordering::Relaxed);
    config.training_rate(&df, 256, steps).expect("a fit");
    COUNT.load(Ordering::Relaxed) - before
}

#[test]
fn a_training_step_allocates_nothing() {
    // The other tests allocate beside this one: in a process of its own.
    let test = ["--ignored", "--exact", "allocations::alone", "--nocapture"];
    let run = Command::new(std::env::current_exe().expect("a path")).args(test).output().expect("the tests start");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
#[ignore = "run by the test above in a process of its own"]
fn alone() {
    // What the first run sets up for good is not counted.
    allocations(10);
    let (few, many) = (allocations(100), allocations(500));
    // How threads start varies by one or two; a single allocation a step would add 400.
    assert!(many < few + 20, "{few} allocations of 100 steps, {many} of 500");
}
