//! A named holder of views.

use super::accounts::Accounts;
use std::sync::Arc;

/// Number of a holder in this process; 0 is "nobody in particular".
///
/// ```text
/// 15 ─────────────── 8 │ 7 ──────────────── 0
///  number of accounts  │  position in them
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct HolderId(u16);

impl HolderId {
    /// Views that no named holder answers for.
    pub const NONE: HolderId = HolderId(0);

    /// The holder at `position` in the accounts numbered `set`.
    pub(super) const fn new(set: u8, position: u8) -> Self {
        Self((set as u16) << 8 | position as u16)
    }

    /// Number of the accounts it is registered in.
    #[inline(always)]
    pub(super) const fn set(self) -> u8 {
        (self.0 >> 8) as u8
    }

    pub(crate) const fn from_raw(raw: u16) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> u16 {
        self.0
    }

    /// Position in the accounts, below [`super::MAX_HOLDERS`].
    #[inline(always)]
    pub fn index(self) -> usize {
        self.0 as usize % super::MAX_HOLDERS
    }
}

/// What kind of thing holds views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HolderKind {
    /// Fills buffers.
    Driver,
    /// Is handed skbs.
    Consumer,
    /// A client's session.
    Session,
    /// Anything else in this process.
    Process,
}

impl HolderKind {
    /// The name used in metrics labels, JSON keys and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Consumer => "consumer",
            Self::Session => "session",
            Self::Process => "process",
        }
    }
}

/// A registered name under which views are accounted. Dropping it retires the name; its number is
/// given to another holder only after everything it held was released.
#[derive(Debug)]
pub struct Holder {
    accounts: Arc<Accounts>,
    id: HolderId,
}

impl Holder {
    pub(super) fn new(accounts: Arc<Accounts>, id: HolderId) -> Self {
        Self { accounts, id }
    }

    /// Its number.
    #[inline(always)]
    pub fn id(&self) -> HolderId {
        self.id
    }

    /// The accounts it is registered in.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Views and bytes it holds now. Sums over all shards: about 1 ns a shard.
    pub fn held(&self) -> (u64, u64) {
        self.accounts.held(self.id)
    }

    /// Counts `views` views of together `bytes` truesize as taken by it, for whoever keeps the views and
    /// has no loop with a shard of its own: two atomic additions. Such views carry no holder themselves.
    pub fn acquire(&self, views: u64, bytes: u64) {
        self.accounts.acquire_shared(self.id, views, bytes);
    }

    /// Counts as given back what [`Holder::acquire`] counted.
    pub fn release(&self, views: u64, bytes: u64) {
        self.accounts.release_shared(self.id, views, bytes);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.accounts.retire(self.id);
    }
}
