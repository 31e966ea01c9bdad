//! Reading messages in place.

pub(crate) mod batch;
mod column;
pub(crate) mod frames;
mod reader;
pub(crate) mod request;
