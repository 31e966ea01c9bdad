//! Pools and caches as sources of buffers.

use super::cache::LocalCache;
use super::error::AllocError;
use super::handle::Pool;
use crate::account::CopyStage;
use crate::buffer::Buffer;
use crate::skb::BufferSource;

impl BufferSource for LocalCache {
    #[inline(always)]
    #[track_caller]
    fn buffer(&mut self) -> Result<Buffer, AllocError> {
        self.alloc()
    }

    fn buffer_bytes(&self) -> u32 {
        self.pool.buffer_bytes()
    }

    fn count_copy(&mut self, bytes: u32) {
        self.shard().count_copy(CopyStage::SkbCopy, 1, bytes.into());
    }
}

impl BufferSource for &Pool {
    #[track_caller]
    fn buffer(&mut self) -> Result<Buffer, AllocError> {
        self.alloc()
    }

    fn buffer_bytes(&self) -> u32 {
        Pool::buffer_bytes(self)
    }

    fn count_copy(&mut self, bytes: u32) {
        self.accounts().count_copy(CopyStage::SkbCopy, 1, bytes.into());
    }
}
