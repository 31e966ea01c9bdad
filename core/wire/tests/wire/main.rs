//! The codec against an independent protobuf implementation, prost.

mod cutting;
mod differential;
mod malformed;
mod messages;
mod odd_encodings;
mod round_trip;
