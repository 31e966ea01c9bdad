//! What a Python program answers for itself: buffers it allocated or brought, and views it made of them.

use skbpool_pool::{Accounts, Buffer, Holder, HolderId, HolderKind, Skb};
use std::sync::OnceLock;

/// The name under which `skbpool.holders` lists the program.
const NAME: &str = "python";

/// The holder of what Python code takes, registered when it first takes something; None while there is
/// no number for it, in which case nobody named answers.
fn process() -> Option<&'static Holder> {
    static PROCESS: OnceLock<Holder> = OnceLock::new();
    PROCESS.get().or_else(|| {
        // Of two threads that come here at once, one's holder retires unused.
        let holder = Accounts::global().holder(NAME, HolderKind::Process).ok()?;
        Some(PROCESS.get_or_init(|| holder))
    })
}

/// Number of the program as a holder.
#[inline]
pub(crate) fn id() -> HolderId {
    process().map_or(HolderId::NONE, Holder::id)
}

/// Makes the program answer for a view that it has made.
pub(crate) fn own(mut skb: Skb) -> Skb {
    if let Some(process) = process() {
        skb.charge_to(process);
    }
    skb
}

/// A buffer of which there are no views yet and that the program answers for; two atomic additions, and
/// two more when it is dropped.
pub(crate) struct Charge {
    holder: Option<&'static Holder>,
    bytes: u64,
}

impl Charge {
    /// Charges the whole of `buffer`.
    pub(crate) fn of(buffer: &Buffer) -> Self {
        let (holder, bytes) = (process(), u64::from(buffer.header().size()));
        if let Some(holder) = holder {
            holder.acquire(1, bytes);
        }
        Self { holder, bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(holder) = self.holder {
            holder.release(1, self.bytes);
        }
    }
}
