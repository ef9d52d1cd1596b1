//! How much is allocated. A training step allocates nothing: more steps, no more allocations. What the product crate asks for itself at each
//! product does not count: packing buffers, which alone are aligned to whole vectors, and flags, which alone are single bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use lacuna::{ErrorKind, Fit, Imputer, VaeConfig, VaeImputer};

struct Counting;

fn count(layout: Layout) {
    let ours = (2..32).contains(&layout.align()) && layout.size() > 64;
    COUNT.fetch_add(usize::from(ours), Ordering::Relaxed);
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are allocated, and the most there were.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

fn shrink(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; only a number is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout);
        grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout);
        // Both are there while one is copied to the other.
        grow(size);
        shrink(layout.size());
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        shrink(layout.size());
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

/// Runs a test in a process of its own: the others allocate beside it.
fn run_alone(test: &str) {
    let test = ["--ignored", "--exact", test, "--nocapture"];
    let run = Command::new(std::env::current_exe().expect("a path")).args(test).output().expect("the tests start");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
fn a_training_step_allocates_nothing() {
    run_alone("allocations::alone");
}

#[test]
fn damaged_models_are_refused_or_loaded_whole_in_little_memory() {
    run_alone("allocations::damaged");
}

/// 200 variants of a model file: cut short, with flipped bits, with other numbers where it says its sizes.
#[test]
#[ignore = "run by the test above in a process of its own"]
fn damaged() {
    let df = crate::vae::frame(60);
    let model = VaeConfig::default().epochs(1).hidden(32).members(2).threads(1).fit(&df).expect("a fit");
    let mut file = Vec::new();
    model.save_to(&mut file).expect("memory takes it");
    let header = 8 + u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let digits: Vec<usize> = (8..header).filter(|&i| file[i].is_ascii_digit()).collect();
    let mut state = 1u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut loaded = 0;
    for i in 0..200 {
        let mut bad = file.clone();
        match i % 4 {
            0 => bad.truncate(below(file.len())),
            1 => (0..1 + below(4)).for_each(|_| bad[below(file.len())] ^= 1 << below(8)),
            2 => bad[..8].copy_from_slice(&(1u64 << below(63)).to_le_bytes()),
            // The number may grow longer: the header with it, or in place of what follows.
            _ => {
                let at = digits[below(digits.len())];
                let wild = ["9999999999", "0", "4096", "-1", "1e300"][below(5)];
                bad.splice(at..=at, wild.bytes());
                let longer = header - 8 + wild.len() - 1;
                if below(2) == 0 {
                    bad[..8].copy_from_slice(&(longer as u64).to_le_bytes());
                }
            }
        }
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let result = VaeImputer::load_from(bad.as_slice(), "m.safetensors");
        let most = PEAK.load(Ordering::Relaxed) - before;
        assert!(most <= 10 * file.len(), "variant {i}: {most} bytes for a file of {}", bad.len());
        match result {
            Ok(model) => {
                loaded += 1;
                // What loads, works: on the columns it says it has.
                let _ = (model.fill(&df), model.draw(&df, 1, 0));
            }
            Err(e) => assert!(matches!(e.kind(), ErrorKind::Model { .. }) && !e.to_string().contains('\n'), "{e}"),
        }
    }
    // Flipped bits of a weight are no damage that can be seen.
    assert!((5..100).contains(&loaded), "{loaded} of 200 load");
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
