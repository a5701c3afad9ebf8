//! Randomness from a seed: ChaCha8, a named generator, so that the seed of a run stays valid across versions.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// The generator that all of a stack draws from.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// From 32 octets of the operating system's randomness, for a stack that meets strangers.
    //= RFC 6528 4
    pub fn from_seed(seed: [u8; 32]) -> Rng {
        Rng(ChaCha8Rng::from_seed(seed))
    }

    /// From a number, for a run that must be repeatable.
    pub fn from_number(seed: u64) -> Rng {
        Rng(ChaCha8Rng::seed_from_u64(seed))
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `n` (0 if `n` is 0); the bias is below 2^-32 for the small `n` used here.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(n) * u64::from(self.next_u32())) >> 32) as u32
    }

    /// 16 random octets: a secret.
    pub fn secret(&mut self) -> [u8; 16] {
        let mut s = [0; 16];
        self.0.fill_bytes(&mut s);
        s
    }
}
