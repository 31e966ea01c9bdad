//! The pool and the model, side by side.

mod views;

use super::op::Op;
use super::view::{BUFFERS, BufferId, Part, SIZE, View};
use skbpool_pool::{
    Accounts, AllocError, Armed, Buffer, Fill, LocalCache, Pool, Skb, SkbError, StartValues, adopt,
};
use std::collections::BTreeMap;

struct Filling {
    fill: Fill,
    buffer: BufferId,
    /// What its buffer holds.
    pattern: Vec<u8>,
}

pub struct Machine {
    pool: Pool,
    cache: LocalCache,
    first: *const u8,
    buffers: Vec<(Buffer, Vec<u8>)>,
    fills: Vec<Filling>,
    views: Vec<(Skb, View)>,
    next_adopted: BufferId,
    closed: bool,
    writes: u8,
}

impl Machine {
    pub fn new() -> Self {
        let start =
            StartValues { counter: u64::MAX - 3, tag: (1 << 40) - 4, generation: u32::MAX - 3 };
        let accounts = Accounts::start_at(u64::MAX - 3);
        let pool = Pool::builder(BUFFERS).accounts(accounts).start_at(start).build().unwrap();
        let all: Vec<Buffer> = (0..BUFFERS).map(|_| pool.alloc().unwrap()).collect();
        let first = all.iter().map(|buffer| buffer.as_slice().as_ptr()).min().unwrap();
        drop(all);
        Self {
            cache: pool.local_cache(),
            pool,
            first,
            buffers: Vec::new(),
            fills: Vec::new(),
            views: Vec::new(),
            next_adopted: BUFFERS,
            closed: false,
            writes: 0,
        }
    }

    /// References that the model expects; a buffer being filled has more than it can tell.
    fn references(&self) -> BTreeMap<BufferId, u32> {
        let mut references = BTreeMap::new();
        let parts = self.views.iter().flat_map(|(_, view)| view.parts.iter().map(|p| p.buffer));
        let buffers = self.buffers.iter().map(|(buffer, _)| id(buffer));
        let fills = self.fills.iter().map(|filling| filling.buffer);
        for buffer in parts.chain(buffers).chain(fills) {
            *references.entry(buffer).or_default() += 1;
        }
        references
    }

    fn in_flight(&self) -> u32 {
        self.references().keys().filter(|&&buffer| buffer < BUFFERS).count() as u32
    }

    /// Buffers that a caller with the cache, or without, can have.
    fn available(&self, cached: bool) -> u32 {
        match (self.closed, cached) {
            (true, _) => 0,
            (false, true) => BUFFERS - self.in_flight(),
            (false, false) => BUFFERS - self.in_flight() - self.cache.cached() as u32,
        }
    }

    fn assert_refused(&self, error: AllocError, cached: bool, needed: u32) {
        match error {
            AllocError::Closed => assert!(self.closed),
            AllocError::ForkedPool => unreachable!("nothing forks"),
            AllocError::Exhausted { .. } => assert!(self.available(cached) < needed),
        }
    }

    pub fn check(&self) {
        let references = self.references();
        let filling: Vec<_> = self.fills.iter().map(|filling| filling.buffer).collect();
        for (skb, view) in &self.views {
            let buffer = view.parts[0].buffer;
            assert!(skb.parts().eq(view.parts.iter().map(|part| &part.bytes[..])));
            assert_eq!((skb.len(), skb.headroom()), (view.len(), view.headroom));
            assert_eq!((skb.tailroom(), skb.is_chain()), (view.tailroom(), view.is_chain()));
            if !filling.contains(&buffer) {
                assert_eq!(skb.header().references(), references[&buffer]);
            }
        }
        for (buffer, pattern) in &self.buffers {
            assert_eq!(buffer.as_slice(), pattern);
        }
        let stats = self.pool.stats();
        assert_eq!(stats.in_flight, self.in_flight());
        assert_eq!(stats.cached as usize, self.cache.cached());
        assert_eq!((stats.free + stats.cached + stats.in_flight, stats.violations), (BUFFERS, 0));
    }

    pub fn finish(mut self) {
        self.pool.audit().unwrap();
        self.views.clear();
        self.buffers.clear();
        self.fills.clear();
        drop(self.cache);
        assert_eq!(self.pool.audit().unwrap().free, BUFFERS);
    }

    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Alloc { cached } => match self.take(cached) {
                Ok(buffer) => self.keep(buffer),
                Err(error) => self.assert_refused(error, cached, 1),
            },
            Op::AllocBulk(count) => self.alloc_bulk(count),
            Op::Adopt(bytes) => self.adopt(bytes),
            Op::Flush => self.cache.flush(),
            Op::Reclaim => self.pool.reclaim(),
            Op::Close => {
                assert_eq!(self.pool.close(), self.in_flight());
                self.closed = true;
            }
            Op::Cut { .. } | Op::Finish { .. } => self.apply_to_fill(op),
            Op::Arm { .. }
            | Op::IntoSkb { .. }
            | Op::Empty(_)
            | Op::Fill(_)
            | Op::DropBuffer { .. } => self.apply_to_buffer(op),
            _ => self.apply_to_views(op),
        }
    }

    fn take(&mut self, cached: bool) -> Result<Buffer, AllocError> {
        if cached { self.cache.alloc() } else { self.pool.alloc() }
    }

    /// Fills a new buffer with a pattern of its own, so that no byte is anybody else's.
    fn keep(&mut self, mut buffer: Buffer) {
        self.writes = self.writes.wrapping_add(41);
        let pattern: Vec<u8> = (0..SIZE).map(|at| (at as u8) ^ self.writes).collect();
        buffer.as_mut_slice().unwrap().copy_from_slice(&pattern);
        self.buffers.push((buffer, pattern));
    }

    fn alloc_bulk(&mut self, count: usize) {
        let mut into = Vec::new();
        let available = self.available(true);
        match self.cache.alloc_bulk(count, &mut into) {
            Ok(()) => {
                assert!(!self.closed && count as u32 <= available);
                assert_eq!(into.len(), count);
                into.into_iter().for_each(|buffer| self.keep(buffer));
            }
            Err(AllocError::Closed) => assert!(self.closed),
            Err(AllocError::ForkedPool) => unreachable!("nothing forks"),
            Err(AllocError::Exhausted { in_flight, .. }) => {
                assert!(into.is_empty() && count as u32 > available);
                assert_eq!(in_flight, self.in_flight());
            }
        }
    }

    fn adopt(&mut self, bytes: usize) {
        self.writes = self.writes.wrapping_add(41);
        let bytes = vec![self.writes; bytes];
        let skb = adopt(bytes.clone()).unwrap().into_skb(0..bytes.len() as u32);
        let buffer = self.next_adopted;
        self.next_adopted += 1;
        let view = View { parts: vec![Part { buffer, bytes }], headroom: 0, room_behind: 0 };
        self.views.push((skb.map_err(|(error, _)| error).unwrap(), view));
    }

    fn apply_to_buffer(&mut self, op: Op) {
        let (Op::Arm { buffer, .. }
        | Op::IntoSkb { buffer, .. }
        | Op::Empty(buffer)
        | Op::Fill(buffer)
        | Op::DropBuffer { buffer, .. }) = op
        else {
            unreachable!()
        };
        if self.buffers.is_empty() {
            return;
        }
        let at = buffer % self.buffers.len();
        let (buffer, pattern) = self.buffers.swap_remove(at);
        let number = id(&buffer);
        let whole = |start: u32, end: u32| View {
            parts: vec![part(number, &pattern, start, end)],
            headroom: start,
            room_behind: SIZE - end,
        };
        match op {
            Op::Arm { windows, .. } => match buffer.arm(windows.len() as u32) {
                Ok(armed) => self.cut_armed(armed, number, &pattern, &windows),
                Err((error, buffer)) => {
                    assert_eq!((error, windows.len()), (SkbError::NoViews, 0));
                    self.buffers.push((buffer, pattern));
                }
            },
            Op::IntoSkb { start, len, .. } => {
                let end = start.saturating_add(len);
                match buffer.into_skb(start..end) {
                    Ok(skb) => self.views.push((skb, whole(start, end))),
                    Err((error, buffer)) => {
                        assert!(end > SIZE);
                        assert_eq!(error, SkbError::OutOfRange { start, end, size: SIZE });
                        self.buffers.push((buffer, pattern));
                    }
                }
            }
            Op::Empty(_) => self.views.push((buffer.into_empty_skb(), whole(0, 0))),
            Op::Fill(_) => {
                let fill = buffer.fill().map_err(|(error, _)| error).unwrap();
                self.fills.push(Filling { fill, buffer: number, pattern });
            }
            Op::DropBuffer { cached: true, .. } => self.cache.release_buffer(buffer),
            _ => drop(buffer),
        }
    }

    /// Cuts as many windows as lie in the buffer; the references of the others go back.
    fn cut_armed(
        &mut self,
        mut armed: Armed,
        number: BufferId,
        pattern: &[u8],
        windows: &[(u32, u32, u32)],
    ) {
        let mut at = 0;
        for &(headroom, len, tailroom) in windows {
            let (start, end) = (at + headroom, at + headroom + len);
            let skb = armed.skb_in(at..end + tailroom, start..end).unwrap();
            at = end + tailroom;
            if at != 0 && armed.left() != 0 {
                let overlap = SkbError::Overlap { start: at - 1, taken: at };
                assert_eq!(armed.skb(at - 1, 1).unwrap_err(), overlap);
            }
            let view = View {
                parts: vec![part(number, pattern, start, end)],
                headroom,
                room_behind: tailroom,
            };
            self.views.push((skb, view));
        }
        assert_eq!(armed.left(), 0);
    }

    fn apply_to_fill(&mut self, op: Op) {
        let (Op::Cut { fill, .. } | Op::Finish { fill, .. }) = op else { unreachable!() };
        if self.fills.is_empty() {
            return;
        }
        let at = fill % self.fills.len();
        match op {
            Op::Cut { headroom, len, tailroom, .. } => {
                let filling = &mut self.fills[at];
                let (position, room) = (filling.fill.position(), filling.fill.room());
                assert_eq!(position + room, SIZE);
                let fits = u64::from(headroom) + u64::from(len) + u64::from(tailroom);
                match filling.fill.cut(headroom, len, tailroom) {
                    Ok(skb) => {
                        assert!(fits <= u64::from(room));
                        let (start, end) = (position + headroom, position + headroom + len);
                        let view = View {
                            parts: vec![part(filling.buffer, &filling.pattern, start, end)],
                            headroom,
                            room_behind: tailroom,
                        };
                        self.views.push((skb, view));
                    }
                    Err(error) => {
                        assert!(fits > u64::from(room));
                        assert!(matches!(error, SkbError::OutOfRange { size: SIZE, .. }));
                    }
                }
            }
            Op::Finish { cached, .. } => {
                let Filling { fill, .. } = self.fills.swap_remove(at);
                if cached {
                    fill.finish(&mut self.cache);
                }
            }
            _ => unreachable!(),
        }
    }
}

fn id(buffer: &Buffer) -> BufferId {
    buffer.header().index().unwrap()
}

fn part(buffer: BufferId, pattern: &[u8], start: u32, end: u32) -> Part {
    Part { buffer, bytes: pattern[start as usize..end as usize].to_vec() }
}
