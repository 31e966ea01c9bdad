//! Lease tables: random verbs beside a model, and the edges that chance seldom meets.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use skbpool_engine::{LeaseError, LeaseRange, LeaseTable, LeaseView, LeaseWrite};
use skbpool_pool::{Accounts, HolderKind, Pool};

use crate::lease_model::{LIMIT, Model, Op, ops};

const BUFFERS: u32 = 6;

fn table(accounts: &Arc<Accounts>, first_generation: u32) -> LeaseTable {
    LeaseTable::open(accounts, "tester", first_generation, LIMIT).unwrap()
}

fn pool(accounts: &Arc<Accounts>) -> Pool {
    Pool::builder(BUFFERS).accounts(Arc::clone(accounts)).build().unwrap()
}

fn view(buffer: u64, offset: u32, length: u32) -> LeaseView {
    LeaseView {
        buffer,
        offset,
        length,
        original_length: 0,
        timestamp_ns: 1,
        link_type: 1,
        interface: 0,
    }
}

/// What the accounts say of the session: views and bytes, and the most of both.
fn accounted(accounts: &Accounts) -> [u64; 4] {
    let found = accounts.snapshot().into_iter().find(|holder| holder.kind == HolderKind::Session);
    found.map_or([0; 4], |of| [of.views, of.bytes, of.peak_views, of.peak_bytes])
}

fn run(op: &Op, table: &mut LeaseTable, pool: &Pool) -> Result<Vec<u64>, LeaseError> {
    match op {
        Op::Allocate(count) => table.allocate(pool, *count, true),
        Op::Write(writes) => {
            let writes = writes.iter().map(|(buffer, offset, data)| LeaseWrite {
                buffer: *buffer,
                offset: *offset,
                data,
            });
            table.write(&writes.collect::<Vec<_>>()).map(|()| Vec::new())
        }
        Op::MakeSkb(views) => {
            let views = views.iter().map(|&(buffer, offset, len)| view(buffer, offset, len));
            table.make_skb(&views.collect::<Vec<_>>())
        }
        Op::Clone(handles) => table.clone_skbs(handles),
        Op::Slice(slices) => table.slice_skbs(slices),
        Op::Take(handles) => table.take(handles).map(|_| Vec::new()),
        Op::Release(handles) => table.release(handles).map(|()| Vec::new()),
    }
}

fn read(table: &LeaseTable, handle: u64) -> Result<Vec<u8>, LeaseError> {
    let range = [LeaseRange { handle, offset: 0, length: None }];
    let mut bytes = Vec::with_capacity(table.measure(&range)?[0] as usize);
    let length = bytes.capacity();
    table.read(&range, &mut [&mut bytes.spare_capacity_mut()[..length]])?;
    // SAFETY: read filled the part, which is as long as the range.
    unsafe { bytes.set_len(length) };
    Ok(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 1000 }))]

    /// Every verb answers what the model answers; one that fails has changed nothing, and what the
    /// pool and the accounts count is what the model holds.
    #[test]
    fn verbs_do_as_the_model(choices in ops(), generation in prop_oneof![Just(u32::MAX - 1), any::<u32>()]) {
        let accounts = Accounts::new();
        let pool = pool(&accounts);
        let mut tested = table(&accounts, generation);
        let mut other = LeaseTable::open(&Accounts::new(), "other", generation ^ 0x5555, LIMIT).unwrap();
        let others = Pool::builder(1).accounts(Accounts::new()).build().unwrap();
        let foreign = other.allocate(&others, 1, true).unwrap()[0];
        let mut model = Model::new(BUFFERS, pool.buffer_bytes(), foreign);
        for choice in choices {
            let op = model.op(&choice);
            let answer = run(&op, &mut tested, &pool);
            // Only near the end of a slot's generations is the model told more than it knows.
            if answer == Err(LeaseError::UsedUp) {
                prop_assert!(generation >= u32::MAX - 1);
            } else {
                model.check(&op, &answer)?;
            }
            let holds = tested.holds();
            prop_assert_eq!((holds.count, holds.bytes), model.holds());
            prop_assert_eq!(tested.holds_of(&pool), model.holds());
            prop_assert_eq!(tested.holds_of(&others), (0, 0));
            let stats = pool.stats();
            prop_assert_eq!((stats.in_flight, stats.reserved), (model.buffers(), model.buffers()));
            let peaks = [u64::from(holds.peak_count), holds.peak_bytes];
            let figures = [u64::from(holds.count), holds.bytes, peaks[0], peaks[1]];
            prop_assert_eq!(accounted(&accounts), figures);
            for (handle, bytes) in model.all() {
                prop_assert_eq!(read(&tested, handle).unwrap(), bytes);
            }
            prop_assert!(read(&tested, foreign).is_err());
        }
        let held = model.holds();
        let left = tested.close();
        prop_assert_eq!((left.count, left.bytes), held);
        prop_assert_eq!((pool.stats().in_flight, pool.stats().reserved), (0, 0));
        prop_assert_eq!(accounts.snapshot(), vec![]);
        prop_assert_eq!(read(&other, foreign).unwrap(), vec![0; 4096]);
    }
}

#[test]
fn all_handles_of_a_slot_differ_until_the_session_has_given_them_all() {
    let accounts = Accounts::new();
    let pool = pool(&accounts);
    let mut table = LeaseTable::open(&accounts, "short", u32::MAX - 2, 1).unwrap();
    let mut given = Vec::new();
    let error = loop {
        match table.allocate(&pool, 1, false) {
            Ok(handles) => given.extend(handles),
            Err(error) => break error,
        }
        table.release(&given[given.len() - 1..]).unwrap();
    };
    assert_eq!(error, LeaseError::UsedUp);
    assert!(error.to_string().contains("open another"));
    assert_eq!(given.len(), 6, "three generations of two slots");
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 6);
    assert!(given.iter().all(|&handle| read(&table, handle).is_err()));
}

#[test]
fn what_is_lent_again_is_zeroed_where_that_is_asked_for() {
    let accounts = Accounts::new();
    let pool = pool(&accounts);
    let mut table = table(&accounts, 1);
    let handles = table.allocate(&pool, BUFFERS, true).unwrap();
    let canary = [0xa5; 4096];
    let writes = handles.iter().map(|&buffer| LeaseWrite { buffer, offset: 0, data: &canary });
    table.write(&writes.collect::<Vec<_>>()).unwrap();
    table.release(&handles).unwrap();
    for handle in table.allocate(&pool, BUFFERS, true).unwrap() {
        assert_eq!(read(&table, handle).unwrap(), vec![0; 4096]);
    }
}

#[test]
fn views_share_one_loan_which_ends_when_they_were_delivered() {
    let accounts = Accounts::new();
    let pool = pool(&accounts);
    let mut table = table(&accounts, 1);
    let buffer = table.allocate(&pool, 1, true).unwrap()[0];
    let views = table.make_skb(&[view(buffer, 0, 10), view(buffer, 10, 10)]).unwrap();
    let taken = table.take(&views).unwrap();
    assert_eq!((table.holds().count, pool.stats().reserved), (0, 1));
    assert_eq!(taken.skbs.len(), 2);
    drop(taken);
    assert_eq!((pool.stats().in_flight, pool.stats().reserved), (0, 0));
}

#[test]
fn the_oldest_handle_tells_the_age() {
    let accounts = Accounts::new();
    let pool = pool(&accounts);
    let mut table = table(&accounts, 1);
    assert_eq!(table.holds().oldest, Duration::ZERO);
    let first = table.allocate(&pool, 1, true).unwrap();
    let before = table.holds().oldest;
    table.allocate(&pool, 1, true).unwrap();
    let after = table.holds().oldest;
    assert!(Duration::ZERO < before && before < after);
    table.release(&first).unwrap();
    let holds = table.holds();
    assert_eq!((holds.count, holds.peak_count, holds.peak_bytes), (1, 2, 8192));
}

#[test]
fn what_a_view_says_of_its_frame_is_checked() {
    let accounts = Accounts::new();
    let pool = pool(&accounts);
    let mut table = table(&accounts, 1);
    let buffer = table.allocate(&pool, 1, true).unwrap()[0];
    for wrong in [
        LeaseView { original_length: 9, ..view(buffer, 0, 10) },
        LeaseView { link_type: 65_536, ..view(buffer, 0, 10) },
        LeaseView { interface: 65_536, ..view(buffer, 0, 10) },
    ] {
        table.make_skb(&[wrong]).unwrap_err();
    }
    let right = LeaseView { original_length: 1500, interface: 7, ..view(buffer, 4, 10) };
    let skbs = table.make_skb(&[right]).unwrap();
    let taken = table.take(&skbs).unwrap();
    let skb = &taken.skbs.as_slice()[0];
    assert_eq!((skb.original_length(), skb.port, skb.link_type, skb.timestamp_ns), (1500, 7, 1, 1));
}
