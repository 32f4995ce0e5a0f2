//! `bench` as a child process: every row is there, and what it starts ends with it. What it measures says nothing here.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{run, start};

const QUICK: [&str; 4] = ["--effort", "0.001", "--rounds", "1"];

fn measured(arguments: &[&str]) -> Value {
    let ended = run(&[&["bench", "--json"], &QUICK[..], arguments].concat(), None).with_code(0);
    serde_json::from_str(&ended.out).unwrap()
}

fn names(report: &Value) -> Vec<&str> {
    report["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn every_measurement_is_beside_the_same_over_bare_tungstenite() {
    let report = measured(&[]);
    assert_eq!(
        names(&report),
        [
            "ack latency, p50",
            "ack latency, p99",
            "publish+ack, 1 outstanding",
            "publish+ack, 64 outstanding",
            "publish+ack, 1,024 outstanding",
            "reply round trip, p50",
            "reply round trip, p99",
            "receive, 128 B",
            "receive, 1 KiB",
            "fire and forget",
            "fan-out 1 to 100",
            "fan-out 1 to 100, per CPU second",
            "fan-out 1 to 1,000",
            "fan-out 1 to 1,000, per CPU second",
            "memory per idle client",
            "memory per idle gateway connection",
        ]
    );
    for row in report["rows"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        // CPU time is too coarse for so short a run; memory is told by Linux only.
        if name.ends_with("per CPU second") || (name.starts_with("memory") && !cfg!(target_os = "linux")) {
            continue;
        }
        let figure = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{row}"));
        // So few connections may fit into memory that is there.
        let least = if name.starts_with("memory") { 0.0 } else { f64::MIN_POSITIVE };
        assert!(figure("ours") >= least && figure("bare") >= least, "{row}");
        if figure("bare") > 0.0 {
            let ratio = figure("ours") / figure("bare");
            assert!((figure("ratio") - ratio).abs() <= ratio * 1e-9, "one round has one ratio: {row}");
        }
    }
}

#[test]
fn some_measurements_can_be_chosen_and_are_a_table() {
    let report = measured(&["acks-64", "receive-1024"]);
    assert_eq!(names(&report), ["publish+ack, 64 outstanding", "receive, 1 KiB"]);
    let table = run(&[&["bench", "acks-1"], &QUICK[..]].concat(), None).with_code(0).out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains("ours") && lines[0].contains("bare") && lines[0].contains("ratio"), "{table}");
    assert!(lines[1].starts_with("publish+ack, 1 outstanding") && lines[1].contains('x'), "{table}");
    for wrong in [&["bench", "nonsense"][..], &["bench", "--rounds", "0"], &["bench", "--effort", "0"]] {
        assert_eq!(run(wrong, None).with_code(2).out, "", "{wrong:?}");
    }
    for wrong in [
        &["acks-1", "--soak", "1s"][..],
        &["acks-1", "--load"],
        &["--connections", "10"],
        &["--load", "--soak", "1s", "--server", "gateway"],
        &["--load", "--server", "nonsense"],
    ] {
        run(&[&["bench"], wrong].concat(), None).with_code(2);
    }
}

const SMALL: [&str; 8] = ["--connections", "200", "--topics", "20", "--rate", "2000", "--effort", "0.1"];

/// The whole is `make bench-load`.
#[test]
fn a_small_load_is_measured_of_each_server_that_is_here() {
    let ended = run(&[&["bench", "--load", "--json", "--rounds", "1"], &SMALL[..]].concat(), None).with_code(0);
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let servers = report["servers"].as_array().unwrap();
    let names: Vec<&str> = servers.iter().map(|row| row["server"].as_str().unwrap()).collect();
    assert_eq!(names, ["gateway", "two-gateways", "nats-server", "mosquitto", "mosquitto-tcp"]);
    assert!(servers[0]["not_run"].is_null(), "{report}");
    for row in servers {
        match row["not_run"].as_str() {
            Some(reason) => assert!(reason.ends_with("is not installed"), "{row}"),
            None => {
                for figure in ["deliveries_per_second", "p50_micros", "p99_micros", "delivery_bytes", "gateway_ratio"] {
                    assert!(row[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure}: {row}");
                }
            }
        }
    }
}

/// The whole is `make soak-load`.
#[test]
fn a_small_load_survives_killed_clients() {
    let ended = run(&[&["bench", "--load", "--json", "--soak", "3s"], &SMALL[..]].concat(), None).with_code(0);
    let soaked: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&soaked["passed"], &soaked["wrong"]), (&Value::Bool(true), &Value::Array(Vec::new())), "{soaked}");
    assert!(soaked["kills"].as_u64() > Some(0) && soaked["deliveries"].as_u64() > Some(3000), "{soaked}");
    assert!(!cfg!(target_os = "linux") || soaked["gateway_memory"]["last_quarter_bytes"].is_u64(), "{soaked}");
}

/// What a process has started, in any of its threads.
#[cfg(target_os = "linux")]
fn children(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let texts = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    texts.flat_map(|text| text.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_ends_it_and_what_it_started() {
    for what in [&["acks-1"][..], &["--load", "--connections", "50", "--server", "gateway"]] {
        ctrl_c_ends(what);
    }
}

#[cfg(target_os = "linux")]
fn ctrl_c_ends(what: &[&str]) {
    let mut bench = start(&[&["bench", "--effort", "100", "--rounds", "100"], what].concat(), None);
    let started = loop {
        let started = children(bench.id());
        if !started.is_empty() {
            break started;
        }
        assert!(!bench.has_ended());
        std::thread::yield_now();
    };
    bench.signal("INT");
    bench.ends().with_code(130);
    for child in started {
        assert!(!std::path::Path::new(&format!("/proc/{child}")).exists(), "process {child} is still there");
    }
}

/// The whole is `make soak`: ten minutes. This is a minute of it.
#[test]
fn memory_stays_flat_with_clients_that_reconnect_and_are_killed() {
    let ended = run(&["bench", "--soak", "60s", "--json"], None).with_code(0);
    let soaked: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&soaked["passed"], &soaked["left"]), (&Value::Bool(true), &Value::Array(Vec::new())), "{soaked}");
    for count in ["sessions", "messages", "terminations", "kills"] {
        assert!(soaked[count].as_u64().is_some_and(|count| count > 0), "{count}: {soaked}");
    }
    assert!(!cfg!(target_os = "linux") || soaked["gateway_memory"]["last_quarter_bytes"].is_u64(), "{soaked}");
}
