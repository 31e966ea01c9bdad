//! A pool that is checked after each input, and what is done with hubs of it.

use skbpool_engine::Subscription;
use skbpool_pool::Pool;
use skbpool_wire::SubscribeResponseView;

use crate::numbers::Numbers;
use crate::wire::Described;

thread_local! {
    /// One pool for all inputs of a thread: what one leaks, its audit finds.
    static POOL: Pool = Pool::builder(512).build().expect("2 MiB");
}

/// Runs `body` with the pool; afterwards every buffer is home and nothing was violated (I1, I2).
pub(crate) fn with_pool(body: impl FnOnce(&Pool)) {
    POOL.with(|pool| {
        assert_all_home(pool);
        body(pool);
        assert_all_home(pool);
    });
}

/// Asserts that nobody holds anything of `pool`.
pub(crate) fn assert_all_home(pool: &Pool) {
    let stats = pool.stats();
    assert_eq!((stats.in_flight, stats.cached, stats.violations), (0, 0, 0), "{stats:?}");
    let audit = pool.audit().expect("every buffer in one place");
    assert_eq!((audit.free, audit.quarantined), (pool.count(), 0));
}

/// The next piece of an input, by a length before it; an impossible length takes all that is left.
pub(crate) fn piece<'a>(input: &mut Numbers<'a>) -> &'a [u8] {
    let size = input.u16();
    input.bytes(if size == u16::MAX { usize::MAX } else { size.into() })
}

/// What a subscriber was told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) frames: Vec<Described>,
    pub(crate) missed: u64,
    batches: u64,
}

impl Told {
    /// Reads every message that is there now.
    pub(crate) fn drain(&mut self, subscription: &mut Subscription, max_message_bytes: usize) {
        while let Some(planned) = subscription.plan().expect("room for the counts") {
            assert!(planned.encoded_len <= max_message_bytes);
            assert_eq!(subscription.plan(), Ok(Some(planned)), "planned once");
            let mut message = Vec::with_capacity(planned.encoded_len);
            let room = &mut message.spare_capacity_mut()[..planned.encoded_len];
            let written = subscription.write(room).expect("memory of that size").len();
            // SAFETY: `write` initialised that many bytes, within the capacity.
            unsafe { message.set_len(written) };
            let response = SubscribeResponseView::parse(&message).expect("ours");
            self.missed += response.missed.iter().map(|count| count.frames).sum::<u64>();
            let Some(batch) = response.batch else { continue };
            self.batches += 1;
            assert_eq!((batch.sequence(), batch.len()), (self.batches, planned.frames));
            self.frames.extend(batch.frames().map(Described::of));
        }
    }

    /// Asserts that these frames, in this order, were told or missed.
    pub(crate) fn assert_among(&self, sent: &[Described]) {
        assert_eq!(self.frames.len() as u64 + self.missed, sent.len() as u64);
        let mut left = sent.iter();
        for frame in &self.frames {
            assert!(left.any(|sent| sent == frame), "a frame that was not sent, or out of order");
        }
    }
}
