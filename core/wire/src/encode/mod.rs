//! Writing messages into memory of exactly their size.

pub(crate) mod batch;
pub(crate) mod message;
pub(crate) mod output;
pub(crate) mod response;
pub(crate) mod size;
