//! A consumer's own memory, for copies of what its quota does not grant.

use super::error::HubError;
use skbpool_pool::{
    Accounts, AllocError, Buffer, BufferSource, Fill, Holder, HolderKind, Pool, Skb, SkbFlags,
};
use std::sync::Arc;

/// Bounded memory of one consumer. Copies are charged to a holder of their own, in the accounts of the
/// hub's pool, so that whoever releases them counts through the shard it has.
#[derive(Debug)]
pub(crate) struct Copies {
    pool: Pool,
    pub(crate) holder: Holder,
}

impl Copies {
    /// Memory of at most `bytes` bytes for copies of frames of `of`, which `name` consumes.
    pub(crate) fn new(of: &Pool, name: &str, bytes: u64) -> Result<Self, HubError> {
        let buffer = of.buffer_bytes();
        let buffers = u32::try_from(bytes / u64::from(buffer)).unwrap_or(u32::MAX);
        if buffers == 0 {
            return Err(HubError::NoCopyMemory { name: name.to_owned(), bytes, buffer });
        }
        let name = format!("{name} copies");
        let pool = Pool::builder(buffers)
            .name(&name)
            .order(of.order())
            .accounts(Arc::clone(of.accounts()))
            .build()?;
        let holder = Accounts::holder(of.accounts(), &name, HolderKind::Consumer)?;
        Ok(Self { pool, holder })
    }

    /// Buffers of the memory.
    pub(crate) fn buffers(&self) -> u32 {
        self.pool.count()
    }

    /// Bytes of the memory.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.pool.count()) * u64::from(self.pool.buffer_bytes())
    }

    /// Whether a copy of `skb` fits it while it is unused.
    pub(crate) fn may_ever_hold(&self, skb: &Skb) -> bool {
        skb.len().div_ceil(self.pool.buffer_bytes()) <= self.buffers()
    }

    /// Begins to copy frames, many to a buffer, until the memory is used up.
    pub(crate) fn begin(&self) -> Copying<'_> {
        Copying { pool: &self.pool, filling: None, used_up: false }
    }
}

/// Copies of frames one behind the other.
pub(crate) struct Copying<'c> {
    pool: &'c Pool,
    filling: Option<Fill>,
    used_up: bool,
}

impl Copying<'_> {
    /// A copy of `skb`; none if the memory was used up by it or before. Copies each byte once, which the
    /// caller counts.
    pub(crate) fn copy(&mut self, skb: &Skb) -> Option<Skb> {
        if self.used_up {
            return None;
        }
        let Some(mut copy) = self.copy_bytes(skb) else {
            self.used_up = true;
            return None;
        };
        copy.timestamp_ns = skb.timestamp_ns;
        copy.hash = skb.hash;
        copy.birth = skb.birth;
        copy.port = skb.port;
        copy.link_type = skb.link_type;
        if skb.flags.contains(SkbFlags::ORIGINAL_LENGTH) {
            copy.set_original_length(skb.original_length());
        }
        copy.flags.0 |= skb.flags.0 | SkbFlags::COPIED.0;
        Some(copy)
    }

    fn copy_bytes(&mut self, skb: &Skb) -> Option<Skb> {
        let len = skb.len();
        if len > self.pool.buffer_bytes() {
            return skb.copy(&mut Uncounted(self.pool)).ok();
        }
        if self.filling.as_ref().is_none_or(|fill| fill.room() < len) {
            // The last one is let go of first: its views keep it.
            self.filling = None;
            self.filling = self.pool.alloc().ok().and_then(|buffer| buffer.fill().ok());
        }
        let fill = self.filling.as_mut()?;
        let mut tail = &mut fill.tail_mut()[..len as usize];
        for part in skb.parts() {
            let (now, rest) = tail.split_at_mut(part.len());
            now.copy_from_slice(part);
            tail = rest;
        }
        fill.cut(0, len, 0).ok()
    }
}

/// The memory as a source of chains, whose copies are counted with those of the batch.
struct Uncounted<'p>(&'p Pool);

impl BufferSource for Uncounted<'_> {
    fn buffer(&mut self) -> Result<Buffer, AllocError> {
        self.0.alloc()
    }

    fn buffer_bytes(&self) -> u32 {
        self.0.buffer_bytes()
    }

    fn count_copy(&mut self, _bytes: u32) {}
}
