//! `skbpool.h` says the same as the Rust it stands for.

mod support;

use cbindgen::{Builder, Config, Language, Style};
use skbpool_capi::{Code, CopyCount, event_number};
use skbpool_flow::{Flow, FlowFlags};
use skbpool_pool::{CopyStage, PoolEvent, SkbFlags};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The table in C as cbindgen reads it from the Rust source, under the names of `skbpool.h`.
fn generated_table() -> String {
    let mut config = Config {
        language: Language::C,
        style: Style::Type,
        usize_is_size_t: true,
        no_includes: true,
        ..Config::default()
    };
    config.export.include.push("Table".to_owned());
    config.export.rename.extend(
        [
            ("Table", "generated_api"),
            ("RawSkb", "skb_t"),
            ("ArmedSlot", "skb_armed"),
            ("BufferHeader", "skb_buffer_header"),
            ("Pool", "skb_pool"),
            ("Cache", "skb_cache"),
            ("SkbBatch", "skb_batch"),
            ("Events", "skb_pool_events"),
            ("CopyCount", "skb_copy_count"),
            ("Flow", "skb_flow"),
            ("FreeFunction", "generated_free_function"),
            ("OwnerPut", "generated_owner_put"),
        ]
        .map(|(rust, c)| (rust.to_owned(), c.to_owned())),
    );
    let bindings = Builder::new()
        .with_config(config)
        .with_src(source("src/table.rs"))
        .generate()
        .expect("cbindgen reads the table");
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).expect("C is text")
}

/// Names of the entries in the order of the Rust source.
fn entries() -> Vec<String> {
    let table = std::fs::read_to_string(source("src/table.rs")).expect("the table's source");
    let start = table.find("pub struct Table {").expect("the struct");
    let end = start + table[start..].find("\n}").expect("its end");
    table[start..end]
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("pub ")?.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "struct Table {")
        .collect()
}

#[test]
fn every_entry_has_its_place_and_its_signature() {
    let names = entries();
    // Two numbers of 32 bits, then one pointer for each function.
    assert_eq!(8 + 8 * (names.len() - 2), size_of::<skbpool_capi::Table>(), "found {names:?}");
    let mut program = String::from("#include \"skbpool.h\"\n");
    program += &generated_table();
    for name in &names {
        writeln!(
            program,
            "_Static_assert(offsetof(struct skbpool_api, {name}) == offsetof(generated_api, {name}), \"{name} stands elsewhere\");\n\
             _Static_assert(__builtin_types_compatible_p(\
             __typeof__(((struct skbpool_api *)0)->{name}), __typeof__(((generated_api *)0)->{name})), \"{name} has another type\");"
        )
        .expect("strings grow");
    }
    writeln!(
        program,
        "_Static_assert(sizeof(struct skbpool_api) == sizeof(generated_api), \"the header has more or fewer entries\");\n\
         _Static_assert(sizeof(struct skbpool_api) == {}, \"the table in memory has another size\");\n\
         _Static_assert(SKBPOOL_API_MAJOR == {}, \"another version\");",
        size_of::<skbpool_capi::Table>(),
        skbpool_capi::MAJOR,
    )
    .expect("strings grow");
    check(&program);
}

#[test]
fn skb_t_is_laid_out_as_the_skb() {
    // Rust's private fields, which `offset_of` cannot name from here, by number: `functions.rs`
    // finds their values there.
    let fields = [
        ("timestamp_ns", std::mem::offset_of!(skbpool_pool::Skb, timestamp_ns)),
        ("original_length", 40),
        ("hash", std::mem::offset_of!(skbpool_pool::Skb, hash)),
        ("birth", std::mem::offset_of!(skbpool_pool::Skb, birth)),
        ("port", std::mem::offset_of!(skbpool_pool::Skb, port)),
        ("link_type", std::mem::offset_of!(skbpool_pool::Skb, link_type)),
        ("flags", std::mem::offset_of!(skbpool_pool::Skb, flags)),
        ("header", std::mem::offset_of!(skbpool_capi::RawSkb, header)),
        ("fragments", 8),
        ("head", 24),
        ("offset", 28),
        ("len", 32),
        ("end", 36),
        ("truesize", 44),
        ("holder", 58),
    ];
    let mut program = String::from("#include \"skbpool.h\"\n");
    for (field, offset) in fields {
        writeln!(program, "_Static_assert(offsetof(skb_t, {field}) == {offset}, \"{field}\");")
            .expect("strings grow");
    }
    for (field, offset) in [
        ("source", std::mem::offset_of!(Flow, source)),
        ("destination", std::mem::offset_of!(Flow, destination)),
        ("source_port", std::mem::offset_of!(Flow, source_port)),
        ("destination_port", std::mem::offset_of!(Flow, destination_port)),
        ("protocol", std::mem::offset_of!(Flow, protocol)),
        ("version", std::mem::offset_of!(Flow, version)),
        ("flags", std::mem::offset_of!(Flow, flags)),
        ("vlan_tags", std::mem::offset_of!(Flow, vlan_tags)),
        ("network_offset", std::mem::offset_of!(Flow, network_offset)),
        ("transport_offset", std::mem::offset_of!(Flow, transport_offset)),
        ("hash", std::mem::offset_of!(Flow, hash)),
    ] {
        writeln!(program, "_Static_assert(offsetof(skb_flow, {field}) == {offset}, \"{field}\");")
            .expect("strings grow");
    }
    let bytes = std::mem::offset_of!(CopyCount, bytes);
    writeln!(program, "_Static_assert(offsetof(skb_copy_count, bytes) == {bytes}, \"bytes\");")
        .expect("strings grow");
    for (name, value) in [
        ("PORTS", FlowFlags::PORTS),
        ("FRAGMENT", FlowFlags::FRAGMENT),
        ("NO_TRANSPORT", FlowFlags::NO_TRANSPORT),
        ("TRUNCATED", FlowFlags::TRUNCATED),
    ] {
        writeln!(program, "_Static_assert(SKB_FLOW_{name} == {}, \"{name}\");", value.0)
            .expect("strings grow");
    }
    for (name, value) in
        [("ORIGINAL_LENGTH", SkbFlags::ORIGINAL_LENGTH), ("COPIED", SkbFlags::COPIED)]
    {
        writeln!(program, "_Static_assert(SKB_{name} == {}, \"{name}\");", value.0)
            .expect("strings grow");
    }
    for (name, size) in [
        ("skb_t", size_of::<skbpool_pool::Skb>()),
        ("skb_armed", size_of::<skbpool_capi::ArmedSlot>()),
        ("skb_flow", size_of::<Flow>()),
        ("skb_copy_count", size_of::<CopyCount>()),
    ] {
        writeln!(program, "_Static_assert(sizeof({name}) == {size}, \"{name}\");")
            .expect("strings grow");
    }
    writeln!(
        program,
        "_Static_assert(SKB_HEADER_BYTES == {}, \"header\");",
        skbpool_pool::HEADER_BYTES
    )
    .expect("strings grow");
    check(&program);
}

#[test]
fn codes_have_the_same_numbers() {
    let mut program = String::from("#include \"skbpool.h\"\n");
    for (position, code) in Code::ALL.into_iter().enumerate() {
        assert_eq!(code as i32, -(position as i32), "codes are listed in order");
        let mut name = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        let name = if code == Code::Ok { "SKB_OK".to_owned() } else { format!("SKB_E{name}") };
        writeln!(program, "_Static_assert({name} == {}, \"{name}\");", code as i32)
            .expect("strings grow");
    }
    check(&program);
}

#[test]
fn events_and_stages_have_the_same_numbers() {
    let events = [
        PoolEvent::LowWatermark,
        PoolEvent::Exhausted,
        PoolEvent::HighWatermark,
        PoolEvent::Orphaned,
        PoolEvent::Gone,
    ]
    .map(|event| (format!("SKB_POOL_{}", event.name()), event_number(event)));
    let stages = CopyStage::ALL.map(|stage| (format!("SKB_COPY_{}", stage.name()), stage as u32));
    let mut program =
        String::from("#include \"skbpool.h\"\n_Static_assert(!SKB_POOL_NO_EVENT, \"\");\n");
    for (name, number) in events.into_iter().chain(stages) {
        let name = name.to_uppercase();
        writeln!(program, "_Static_assert({name} == {number}, \"{name}\");").expect("strings grow");
    }
    check(&program);
}

#[test]
fn the_header_is_strict_c99_and_cpp() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("plain.c");
    std::fs::write(&file, "#include \"skbpool.h\"\nint main(void) { return 0; }\n")
        .expect("written");
    let output = folder.path().join("plain");
    support::compile(&file, &output, &["-std=c99", "-pedantic"]);
    support::compile(&file, &output, &["-x", "c++", "-std=c++11", "-pedantic"]);
}

/// Compiles a program that asserts everything while it is compiled.
fn check(program: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("check.c");
    std::fs::write(&file, program).expect("written");
    support::compile(&file, &folder.path().join("check.o"), &["-std=gnu11", "-c"]);
}
