//! Randomness as an effect.

use std::fmt;

/// The randomness of one process: for ids that nobody can guess, and for jitter.
///
/// Two implementations exist: [`SystemEntropy`], and the simulator's, which is seeded.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// 64 random bits.
    fn bits(&self) -> u64;

    /// A number of `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "52 bits are left, which a float holds exactly")]
    fn fraction(&self) -> f64 {
        (self.bits() >> 12) as f64 / (1_u64 << 52) as f64
    }
}

/// A cryptographically secure generator, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random numbers")]
    fn bits(&self) -> u64 {
        rand::random()
    }
}
