//! The hash of an export, made while the next chunk is read.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Over all chunks so far; the last of them may still be under way.
#[derive(Debug, Default)]
pub(super) struct Digest(Option<JoinHandle<Sha256>>);

impl Digest {
    /// Waits for the chunk before and begins with this one.
    pub(super) async fn add(&mut self, chunk: Bytes) -> Result<(), JoinError> {
        let mut sha256 = self.settle().await?;
        self.0 = Some(spawn_blocking(move || {
            sha256.update(&chunk);
            sha256
        }));
        Ok(())
    }

    /// In hexadecimal digits.
    pub(super) async fn finish(mut self) -> Result<String, JoinError> {
        Ok(format!("{:x}", self.settle().await?.finalize()))
    }

    async fn settle(&mut self) -> Result<Sha256, JoinError> {
        match self.0.take() {
            Some(hashing) => hashing.await,
            None => Ok(Sha256::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_are_hashed_in_their_order() -> Result<(), JoinError> {
        let mut digest = Digest::default();
        let mut all = Vec::new();
        for byte in 0..10 {
            let chunk = vec![byte; 1 << 16];
            all.extend_from_slice(&chunk);
            digest.add(chunk.into()).await?;
        }
        assert_eq!(digest.finish().await?, format!("{:x}", Sha256::digest(&all)));
        Ok(())
    }
}
