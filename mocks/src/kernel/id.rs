//! Identifiers: random to look at, the same for the same seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// A source of identifiers for one transaction.
///
/// Seeded with the cloud's seed and the transaction's number, so the same seed
/// and the same requests give the same identifiers, and a restarted cloud never
/// repeats one.
pub struct Ids(ChaCha8Rng);

impl Ids {
    /// The source for transaction number `sequence` of a cloud with this seed.
    pub fn new(seed: u64, sequence: u64) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&sequence.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A UUID in its canonical form.
    pub fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid().hyphenated().to_string()
    }

    /// An access key: `SCW` and 17 characters out of `A-Z0-9`.
    pub fn access_key(&mut self) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let tail: String = (0..17).map(|_| char::from(ALPHABET[self.0.random_range(0..ALPHABET.len())])).collect();
        format!("SCW{tail}")
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0.random_range(0..limit)
    }
}

/// Whether this text is a UUID in its canonical form.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}
