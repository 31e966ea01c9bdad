//! The engine's parts on real pools, hubs and messages.

#[path = "../../../pool/tests/fork/child.rs"]
mod child;

mod adopt;
mod capture;
mod compose;
mod copies;
mod counts;
mod inline;
mod lands;
mod lease_model;
mod lease_table;
mod nic;
mod nic_driver;
mod refuses;
mod resume;
mod small_buffers;
mod stamps;
mod subscribe;
mod subscribe_options;
mod support;
mod view;
