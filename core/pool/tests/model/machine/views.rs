//! Operations on views.

use super::super::view::{BUFFERS, BufferId, Part, SIZE, View};
use super::{Machine, Op};
use skbpool_pool::{BufferSource, CopyError, Skb, SkbBatch, SkbError};

/// Longer frames and more views than these would only take time.
const LONGEST: u32 = 20_000;
const MOST: usize = 60;

impl Machine {
    pub(super) fn apply_to_views(&mut self, op: Op) {
        if self.views.is_empty() {
            return;
        }
        let count = self.views.len();
        match op {
            Op::Clone(at) => self.clone_view(at % count),
            Op::Slice { view, offset, len } => self.slice(view % count, offset, len),
            Op::Push { view, bytes } => self.push(view % count, bytes),
            Op::Put { view, bytes } => self.put(view % count, bytes),
            Op::Pull { view, bytes } => {
                let (skb, view) = &mut self.views[view % count];
                assert_eq!(skb.pull(bytes), view.pull(bytes));
            }
            Op::Trim { view, len } => {
                let (skb, view) = &mut self.views[view % count];
                assert_eq!(skb.trim(len), view.trim(len));
            }
            Op::Reserve { view, bytes } => {
                let (skb, view) = &mut self.views[view % count];
                assert_eq!(skb.reserve(bytes), view.reserve(bytes));
            }
            Op::Copy { view, cached } => self.copy(view % count, cached),
            Op::Unshare { view, cached } => self.unshare(view % count, cached),
            Op::Linearize { view, cached } => self.linearize(view % count, cached),
            Op::PullUp { view, bytes, cached } => self.pull_up(view % count, bytes, cached),
            Op::Append { view, other } if view % count != other % count => {
                self.append(view % count, other % count);
            }
            Op::Release { view, cached } => {
                let (skb, _) = self.views.swap_remove(view % count);
                if cached { self.cache.release(skb) } else { drop(skb) }
            }
            Op::ReleaseBatch(views) => {
                let first = count - views.min(count);
                let mut batch: SkbBatch = self.views.drain(first..).map(|(skb, _)| skb).collect();
                self.cache.release_batch(&mut batch);
                assert!(batch.is_empty());
            }
            Op::CloneBatch(views) => self.clone_batch(views.min(count)),
            _ => {}
        }
    }

    fn is_writable(&self, buffer: BufferId) -> Result<(), SkbError> {
        let filling = self.fills.iter().any(|filling| filling.buffer == buffer);
        match (buffer < BUFFERS, filling || self.references()[&buffer] > 1) {
            (false, _) => Err(SkbError::ReadOnly),
            (true, true) => Err(SkbError::Shared),
            (true, false) => Ok(()),
        }
    }

    fn clone_view(&mut self, at: usize) {
        if self.views.len() < MOST {
            let (skb, view) = &self.views[at];
            let clone = (skb.clone_skb().unwrap(), view.clone());
            self.views.push(clone);
        }
    }

    fn slice(&mut self, at: usize, offset: u32, len: u32) {
        let (skb, view) = &self.views[at];
        match (skb.slice(offset, len), view.slice(offset, len)) {
            (Ok(skb), Ok(view)) => self.views.push((skb, view)),
            (skb, view) => assert_eq!(skb.map(drop), view.map(drop)),
        }
    }

    fn push(&mut self, at: usize, bytes: u32) {
        let view = &self.views[at].1;
        let expected = if bytes > view.headroom {
            Err(SkbError::NoHeadroom { needed: bytes, have: view.headroom })
        } else {
            self.is_writable(view.parts[0].buffer)
        };
        let fresh = self.fresh(bytes, expected.is_ok());
        let (skb, view) = &mut self.views[at];
        let target = skb.push(bytes);
        assert_eq!(target.as_ref().map(|_| ()).map_err(|error| *error), expected);
        if let Ok(target) = target {
            target.copy_from_slice(&fresh);
            view.headroom -= bytes;
            view.parts[0].bytes.splice(..0, fresh);
        }
    }

    fn put(&mut self, at: usize, bytes: u32) {
        let view = &self.views[at].1;
        let expected = if view.is_chain() {
            Err(SkbError::Nonlinear)
        } else if bytes > view.tailroom() {
            Err(SkbError::NoTailroom { needed: bytes, have: view.tailroom() })
        } else {
            self.is_writable(view.parts[0].buffer)
        };
        let fresh = self.fresh(bytes, expected.is_ok());
        let (skb, view) = &mut self.views[at];
        let target = skb.put(bytes);
        assert_eq!(target.as_ref().map(|_| ()).map_err(|error| *error), expected);
        if let Ok(target) = target {
            target.copy_from_slice(&fresh);
            view.room_behind -= bytes;
            view.parts[0].bytes.extend(fresh);
        }
    }

    /// Bytes to write that were not there before.
    fn fresh(&mut self, bytes: u32, wanted: bool) -> Vec<u8> {
        self.writes = self.writes.wrapping_add(41);
        vec![self.writes; if wanted { bytes as usize } else { 0 }]
    }

    fn with_source<R>(&mut self, cached: bool, run: impl FnOnce(Source<'_>) -> R) -> R {
        if cached { run(Source::Cache(&mut self.cache)) } else { run(Source::Pool(&self.pool)) }
    }

    /// What the copy `skb` of `view` must look like.
    fn check_copy(&self, skb: &Skb, view: &View) -> View {
        let (headroom, lengths) = view.copied_parts();
        let held = self.references();
        let mut bytes = view.bytes().into_iter();
        let parts: Vec<Part> = skb
            .parts()
            .enumerate()
            .zip(&lengths)
            .map(|((position, part), &len)| {
                let buffer = match position {
                    0 => skb.header().index().unwrap(),
                    _ => ((part.as_ptr().addr() - self.first.addr()) / SIZE as usize) as BufferId,
                };
                assert!(!held.contains_key(&buffer), "a copy lies in a buffer of its own");
                Part { buffer, bytes: bytes.by_ref().take(len as usize).collect() }
            })
            .collect();
        assert_eq!(parts.len(), skb.parts().count());
        View { headroom, room_behind: SIZE - headroom - lengths[0], parts }
    }

    fn copy(&mut self, at: usize, cached: bool) {
        let available = self.available(cached);
        let (skb, view) = self.views.swap_remove(at);
        let needed = view.copied_parts().1.len() as u32;
        let copy = self.with_source(cached, |mut source| skb.copy(&mut source));
        self.views.push((skb, view.clone()));
        match copy {
            Ok(copy) => {
                assert!(needed <= available);
                let view = self.check_copy(&copy, &view);
                self.views.push((copy, view));
            }
            Err(CopyError::Alloc(error)) => self.assert_refused(error, cached, needed),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a verb that may replace a view by a copy, and says whether it did.
    fn replace(
        &mut self,
        at: usize,
        cached: bool,
        needed: u32,
        verb: impl FnOnce(&mut Skb, Source<'_>) -> Result<(), CopyError>,
    ) -> bool {
        let (mut skb, view) = self.views.swap_remove(at);
        let outcome = self.with_source(cached, |source| verb(&mut skb, source));
        self.views.push((skb, view));
        match outcome {
            Ok(()) => true,
            Err(CopyError::Alloc(error)) => {
                self.assert_refused(error, cached, needed);
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn unshare(&mut self, at: usize, cached: bool) {
        let view = self.views[at].1.clone();
        let writable = view.parts.iter().all(|part| self.is_writable(part.buffer).is_ok());
        let needed = view.copied_parts().1.len() as u32;
        let done = self.replace(at, cached, needed, |skb, mut source| skb.unshare(&mut source));
        if done && !writable {
            self.becomes_copy(&view);
        }
    }

    fn linearize(&mut self, at: usize, cached: bool) {
        let view = self.views[at].1.clone();
        if view.is_chain() && view.len() > SIZE {
            let error = self.views[at].0.linearize(&mut &self.pool).unwrap_err();
            assert_eq!(error, CopyError::TooLarge { needed: view.len(), buffer: SIZE });
            return;
        }
        let done = self.replace(at, cached, 1, |skb, mut source| skb.linearize(&mut source));
        if done && view.is_chain() {
            self.becomes_copy(&view);
        }
    }

    /// The last view was replaced by a copy of `view`.
    fn becomes_copy(&mut self, view: &View) {
        let skb = self.views.pop().unwrap().0;
        let copy = self.check_copy(&skb, view);
        self.views.push((skb, copy));
    }

    fn pull_up(&mut self, at: usize, bytes: u32, cached: bool) {
        let view = self.views[at].1.clone();
        if bytes <= view.linear() {
            self.views[at].0.pull_up(bytes, &mut &self.pool).unwrap();
            return;
        }
        if let Err(expected) = view.may_pull_up(bytes) {
            let error = self.views[at].0.pull_up(bytes, &mut &self.pool).unwrap_err();
            assert_eq!(error, expected);
            return;
        }
        if self.replace(at, cached, 1, |skb, mut source| skb.pull_up(bytes, &mut source)) {
            let skb = self.views.pop().unwrap().0;
            let buffer = skb.header().index().unwrap();
            self.views.push((skb, view.pulled_up(bytes, buffer)));
        }
    }

    fn append(&mut self, at: usize, other: usize) {
        if self.views[at].1.len() + self.views[other].1.len() > LONGEST {
            return;
        }
        // The last one moves to where the other one was.
        let at = if at == self.views.len() - 1 { other } else { at };
        let (fragment, other_view) = self.views.swap_remove(other);
        let (skb, view) = &mut self.views[at];
        skb.append_frag(fragment).map_err(|(error, _)| error).unwrap();
        if other_view.len() != 0 {
            view.append(other_view);
        }
    }

    fn clone_batch(&mut self, views: usize) {
        if self.views.len() + views > MOST {
            return;
        }
        let first = self.views.len() - views;
        let (skbs, models): (Vec<Skb>, Vec<View>) = self.views.drain(first..).unzip();
        let mut batch: SkbBatch = skbs.into_iter().collect();
        let mut clones = SkbBatch::new();
        batch.clone_front_into(views, &mut clones).unwrap();
        batch.append(&mut clones);
        let twice = models.iter().cloned().chain(models.iter().cloned());
        self.views.extend(batch.into_iter().zip(twice));
    }
}

/// Where a copy gets its buffers from.
enum Source<'a> {
    Cache(&'a mut skbpool_pool::LocalCache),
    Pool(&'a skbpool_pool::Pool),
}

impl BufferSource for Source<'_> {
    fn buffer(&mut self) -> Result<skbpool_pool::Buffer, skbpool_pool::AllocError> {
        match self {
            Self::Cache(cache) => cache.buffer(),
            Self::Pool(pool) => pool.buffer(),
        }
    }

    fn buffer_bytes(&self) -> u32 {
        SIZE
    }

    fn count_copy(&mut self, bytes: u32) {
        match self {
            Self::Cache(cache) => cache.count_copy(bytes),
            Self::Pool(pool) => pool.count_copy(bytes),
        }
    }
}
