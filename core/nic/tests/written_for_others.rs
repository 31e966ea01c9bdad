//! Written files, as tcpdump and capinfos read them.

mod common;

use std::path::PathBuf;
use std::process::Command;

use skbpool_nic::{CaptureFrame, PcapWriter, PcapngWriter, StampedTraffic, TrafficConfig};

/// The tool's output; none, with a printed reason, if it is not installed.
fn output(tool: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) => {
            let required =
                std::env::var_os("SKBPOOL_REQUIRE_ALL").is_some_and(|value| value == "1");
            assert!(!required, "{tool} is required when SKBPOOL_REQUIRE_ALL=1: {error}");
            println!("skipped: {tool} cannot be run: {error}");
            None
        }
    }
}

#[test]
fn both_formats() {
    let mut traffic = StampedTraffic::new(TrafficConfig::default()).unwrap();
    let mut pcap = PcapWriter::new(Vec::new(), 1).unwrap();
    let mut pcapng = PcapngWriter::new(Vec::new()).unwrap();
    for index in 0..7u64 {
        let timestamp_ns = 1_700_000_000_123_456_789 + index;
        let mut data = [0; 60];
        traffic.write_frame(&mut data, timestamp_ns);
        let frame = CaptureFrame {
            timestamp_ns,
            original_length: 64,
            link_type: 1,
            interface: index as u32 % 2,
            data: &data[..60 - index as usize],
        };
        pcap.write_frame(&frame).unwrap();
        pcapng.write_frame(&frame, index % 3).unwrap();
    }
    for (name, file) in [("others.pcap", pcap.into_inner()), ("others.pcapng", pcapng.into_inner())]
    {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, file).unwrap();
        let text = path.to_str().expect("a path in UTF-8");
        if let Some(lines) = output("tcpdump", &["-r", text, "-n", "-tt", "--nano"]) {
            let lines: Vec<&str> = lines.lines().collect();
            assert_eq!(lines.len(), 7, "{lines:?}");
            for (index, line) in lines.iter().enumerate() {
                let time = format!("1700000000.{}", 123_456_789 + index);
                assert!(line.starts_with(&time), "{line}");
                assert!(line.contains("198.18.0.1.50000 > 198.19.0.1.9: UDP"), "{line}");
            }
        }
        // Packets, packets' bytes as captured and on the wire, and the resolution of times.
        if let Some(report) = output("capinfos", &["-M", "-T", "-r", "-c", "-d", "-m", text]) {
            let fields: Vec<&str> = report.trim().rsplit(',').collect();
            assert_eq!(fields[..2], ["448", "7"], "{report}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
