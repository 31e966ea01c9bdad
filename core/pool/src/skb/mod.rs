//! Views of buffers, and batches of them.

mod batch;
mod chain;
mod copy;
mod error;
mod fan_out;
mod layout;
mod lines;
mod reslice;
mod settle;
mod share;
mod source;
mod verbs;

pub use batch::SkbBatch;
pub use chain::FragList;
pub use copy::CopyError;
pub use error::SkbError;
pub use fan_out::Share;
pub use layout::{Skb, SkbFlags};
#[cfg(target_arch = "x86_64")]
pub(crate) use lines::{ByLines, has_lines};
pub(crate) use lines::{ByWords, WriteSkb};
pub use settle::Charge;
pub use share::make_zero_copy_skb;
pub use source::BufferSource;
