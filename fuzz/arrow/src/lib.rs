//! What the fuzzed modules name of arrow.

pub mod error {
    /// Never made here.
    #[derive(Debug)]
    pub enum ArrowError {}

    impl std::fmt::Display for ArrowError {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match *self {}
        }
    }

    impl std::error::Error for ArrowError {}
}
