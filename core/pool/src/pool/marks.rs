//! What became of the buffers that somebody handed out.

use super::handle::Pool;
use crate::buffer::Buffer;
use std::fmt;

/// Which buffers of a pool somebody handed out last, so that it can be told what is left of them: how
/// many views of a driver's frames are out after it has gone.
///
/// ```text
///  generations: │ 7 │ 3 │ … │      one a buffer: that in which it was marked
///                 =   ≠            still that one: what is out of it is what was marked
/// ```
/// 4 bytes a buffer. Written by one thread, by `&mut`.
pub struct BufferMarks {
    pool: Pool,
    generations: Box<[u32]>,
}

/// The marked buffers that were out when the marks were given up.
pub struct MarkedBuffers {
    pool: Pool,
    /// Index and generation of each.
    left: Vec<(u32, u32)>,
}

/// What is out of marked buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkedOut {
    /// Buffers.
    pub buffers: u32,
    /// References to them: views.
    pub references: u64,
}

impl Pool {
    /// Marks of its buffers; none is marked. Visits every header.
    pub fn marks(&self) -> BufferMarks {
        // The generation before this one, which comes again after 2^32 - 1 homecomings.
        let before = |header: &crate::header::BufferHeader| header.generation().wrapping_sub(1);
        BufferMarks { pool: self.clone(), generations: self.headers().iter().map(before).collect() }
    }

    /// References to a buffer in that generation; 0 if it came home since.
    fn references_in(&self, index: u32, generation: u32) -> u64 {
        let Some(header) = self.headers().get(index as usize) else { return 0 };
        // The generation moves on when the last reference has gone, before anybody gets it again.
        // SYNC: `references` loads with Acquire, so that the generation is not read before it. Who gets
        // the buffer next publishes nothing by its count, so this is exact when quiet, as `out` says.
        let references = u64::from(header.references());
        if header.generation() == generation { references } else { 0 }
    }
}

impl BufferMarks {
    /// Marks a buffer until it comes home; one of another pool is left alone. Costs a store.
    #[inline]
    pub fn mark(&mut self, buffer: &Buffer) {
        let header = buffer.header();
        let Some(index) = header.index() else { return };
        let own = self.pool.headers().get(index as usize);
        if own.is_some_and(|own| std::ptr::eq(own, header)) {
            self.generations[index as usize] = header.generation();
        }
    }

    /// What was marked and is out. Visits every header.
    pub fn into_marked(self) -> MarkedBuffers {
        let marked = (0..).zip(self.generations.iter().copied());
        let pool = self.pool;
        let left = marked.filter(|&(index, generation)| pool.references_in(index, generation) != 0);
        MarkedBuffers { left: left.collect(), pool }
    }
}

impl MarkedBuffers {
    /// What is still out, exact when quiet. Visits what was out when it was last asked.
    pub fn out(&mut self) -> MarkedOut {
        let mut out = MarkedOut::default();
        let pool = &self.pool;
        self.left.retain(|&(index, generation)| {
            let references = pool.references_in(index, generation);
            out.buffers += u32::from(references != 0);
            out.references += references;
            references != 0
        });
        self.left.shrink_to_fit();
        out
    }
}

impl fmt::Debug for BufferMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferMarks").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl fmt::Debug for MarkedBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarkedBuffers").field("left", &self.left.len()).finish_non_exhaustive()
    }
}
