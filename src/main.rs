//! The `lacuna` command.

#![deny(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    memory::map_long_buffers();
    cli::main()
}

/// How the allocator of the program goes about long buffers; the crate leaves it alone.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod memory {
    /// Has buffers of a megabyte and more mapped each by itself, so that they go back to the system when they are dropped; false where
    /// the allocator refuses. glibc does so up to the first that is dropped, keeps as long ones in its heap from then on, and
    /// has holes there: a fit of 1 000 rows of 500 columns by networks of two epochs took 343 MB, and takes 246 in the same time.
    #[allow(unsafe_code)]
    pub fn map_long_buffers() -> bool {
        // SAFETY: it sets a number of the allocator, which has a lock of its own.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20) == 1 }
    }

    #[cfg(test)]
    mod tests {
        #[test]
        #[allow(unsafe_code)]
        fn a_long_buffer_is_mapped_also_after_one_was_dropped() {
            // SAFETY: it reads numbers of the allocator.
            let mapped = || unsafe { libc::mallinfo().hblks };
            assert!(super::map_long_buffers());
            // By itself the allocator maps the first only. Other threads may give some of theirs back meanwhile.
            drop(std::hint::black_box(vec![1u8; 4 << 20]));
            let one = |_| {
                let before = mapped();
                let buffer = std::hint::black_box(vec![1u8; 4 << 20]);
                let more = mapped() > before;
                drop(buffer);
                more
            };
            assert!((0..100).any(one));
        }
    }
}
