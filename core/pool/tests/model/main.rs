//! Random sequences of operations against a simple reference model (I2).
//!
//! The model knows the bytes of every view, which buffers they lie in and so how many references each
//! buffer has. After every operation its answer, error included, must be the pool's; after every
//! sequence an audit finds every buffer in one place. `PROPTEST_CASES` sets how many sequences.
#![cfg(not(loom))]

mod machine;
mod op;
mod view;

use machine::Machine;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;

#[test]
fn random_sequences_agree_with_the_model() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let (sequences, operations) = (Cell::new(0u64), Cell::new(0u64));
    let outcome = runner.run(&op::sequence(), |sequence| {
        sequences.set(sequences.get() + 1);
        operations.set(operations.get() + sequence.len() as u64);
        let mut machine = Machine::new();
        for operation in sequence {
            machine.apply(operation);
            machine.check();
        }
        machine.finish();
        Ok(())
    });
    println!("{} sequences, {} operations", sequences.get(), operations.get());
    outcome.unwrap();
}
