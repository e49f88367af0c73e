//! Random numbers for message IDs, ports, letter case and the choice of servers: one generator for each worker, a CSPRNG
//! seeded by the system in service (RFC 5452 10), and by a printed number in tests.

use std::cell::RefCell;

use rand::rngs::{ChaCha12Rng, SysRng};
use rand::{Rng, SeedableRng};

/// A generator of unpredictable numbers, for one thread.
pub struct Random(RefCell<ChaCha12Rng>);

impl Random {
    /// Seeded by the system; fails where the system gives no randomness.
    pub fn from_system() -> std::io::Result<Random> {
        ChaCha12Rng::try_from_rng(&mut SysRng).map(|rng| Random(RefCell::new(rng))).map_err(std::io::Error::other)
    }

    /// The same numbers for the same seed, for tests.
    #[cfg(any(test, feature = "internals"))]
    pub fn from_seed(seed: u64) -> Random {
        Random(RefCell::new(ChaCha12Rng::seed_from_u64(seed)))
    }

    /// Another generator, whose numbers this one decides.
    pub fn split(&self) -> Random {
        Random(RefCell::new(ChaCha12Rng::from_rng(&mut *self.0.borrow_mut())))
    }

    /// Uniform over all values.
    pub fn u16(&self) -> u16 {
        self.u32() as u16
    }

    /// Uniform over all values.
    pub fn u32(&self) -> u32 {
        self.0.borrow_mut().next_u32()
    }

    /// Uniform over all values.
    pub fn u64(&self) -> u64 {
        self.0.borrow_mut().next_u64()
    }

    /// Uniform in `0..bound`; 0 for an empty range. The bias of the multiplication is below bound/2^32.
    pub fn below(&self, bound: usize) -> usize {
        ((u64::from(self.u32()) * bound as u64) >> 32) as usize
    }

    /// Every octet is drawn.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.borrow_mut().fill_bytes(bytes);
    }
}
