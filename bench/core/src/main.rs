//! Measures what the core does and prints a JSON line for each operation.
//!
//! ```text
//! skbpool-bench [--seconds S] [--pages huge|small] [--cores A,B] [OP...]
//! skbpool-bench --list
//! ```
//! Without an operation their names are read from standard input, one a line.

mod buffers;
mod handover;
mod measure;
mod receive;
mod rings;
mod scale;
mod sharded;

use measure::{Failure, Settings};

type Operation = (
    &'static str,
    &'static str,
    fn(&Settings) -> Result<f64, Failure>,
);

const OPERATIONS: &[Operation] = &[
    ("alloc_free_1", "ns", buffers::alloc_free_1),
    ("alloc_free_bulk32", "ns", buffers::alloc_free_bulk32),
    (
        "views_of_one_buffer_32",
        "ns",
        buffers::views_of_one_buffer_32,
    ),
    ("clone_free_1", "ns", buffers::clone_free_1),
    (
        "object_get_put_bulk32",
        "ns",
        buffers::object_get_put_bulk32,
    ),
    ("ring_spsc_bulk32", "ns", rings::ring_spsc_bulk32),
    ("ring_skb_bulk32", "ns", rings::ring_skb_bulk32),
    ("rx_64_written", "Mpps", receive::rx_64_written),
    ("rx_1518_written", "Mpps", receive::rx_1518_written),
    ("rx_64", "Mpps", receive::rx_64),
    ("handover_64", "Mpps", handover::handover_64),
    ("bare_ring_64", "Mpps", handover::bare_ring_64),
    ("alloc_free_held_1024", "ns", buffers::alloc_free_held_1024),
    (
        "alloc_free_held_16384",
        "ns",
        buffers::alloc_free_held_16384,
    ),
    (
        "views_released_singly_32",
        "ns",
        buffers::views_released_singly_32,
    ),
    ("views_interleaved_32", "ns", buffers::views_interleaved_32),
    ("buffer_1", "ns", buffers::buffer_1),
    (
        "alloc_free_uncached_1",
        "ns",
        buffers::alloc_free_uncached_1,
    ),
    ("pool_1Ki", "ns", |settings| {
        buffers::pool_of(settings, 1 << 10)
    }),
    ("pool_16Ki", "ns", |settings| {
        buffers::pool_of(settings, 1 << 14)
    }),
    ("pool_128Ki", "ns", |settings| {
        buffers::pool_of(settings, 1 << 17)
    }),
    ("pool_1Mi", "ns", |settings| {
        buffers::pool_of(settings, 1 << 20)
    }),
    ("threads_1", "Mops", |settings| scale::threads(settings, 1)),
    ("threads_2", "Mops", |settings| scale::threads(settings, 2)),
    ("threads_4", "Mops", |settings| scale::threads(settings, 4)),
    ("threads_8", "Mops", |settings| scale::threads(settings, 8)),
    ("threads_16", "Mops", |settings| {
        scale::threads(settings, 16)
    }),
    ("unaccounted_64", "ns", scale::unaccounted_64),
    ("accounted_64", "ns", scale::accounted_64),
    ("alloc_free_bulk32_4_shards", "ns", |settings| {
        sharded::held(settings, 32)
    }),
    ("alloc_free_held_1024_4_shards", "ns", |settings| {
        sharded::held(settings, 1024)
    }),
    (
        "alloc_free_uncached_1_4_shards",
        "ns",
        sharded::alloc_free_uncached_1,
    ),
];

fn main() -> Result<(), Failure> {
    let mut settings = Settings {
        seconds: 0.2,
        huge: false,
        cores: [0, 1],
    };
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--list" => {
                OPERATIONS.iter().for_each(|(name, ..)| println!("{name}"));
                return Ok(());
            }
            "--seconds" => settings.seconds = value()?.parse()?,
            "--pages" => {
                settings.huge = match value()?.as_str() {
                    "huge" => true,
                    "small" => false,
                    _ => return Err("--pages takes huge or small".into()),
                };
            }
            "--cores" => {
                let value = value()?;
                let (first, second) = value.split_once(',').ok_or("--cores takes A,B")?;
                settings.cores = [first.parse()?, second.parse()?];
            }
            _ => names.push(argument),
        }
    }
    if names.is_empty() {
        return std::io::stdin()
            .lines()
            .try_for_each(|name| measure_one(name?.trim(), &settings));
    }
    names
        .iter()
        .try_for_each(|name| measure_one(name, &settings))
}

fn measure_one(name: &str, settings: &Settings) -> Result<(), Failure> {
    let (name, unit, run) = OPERATIONS
        .iter()
        .find(|(known, ..)| *known == name)
        .ok_or_else(|| format!("{name} is no operation; --list names them"))?;
    measure::pin(settings.cores[0])?;
    let value = run(settings)?;
    println!("{{\"op\":\"{name}\",\"value\":{value:.4},\"unit\":\"{unit}\"}}");
    Ok(())
}
