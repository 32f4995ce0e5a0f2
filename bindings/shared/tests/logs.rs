//! What a client logs reaches the logger that was attached for it, without the token.

use std::sync::mpsc;
use std::time::Duration;

use realtime_pubsub::Client;
use realtime_pubsub_bindings::logs::{Level, Logs};

#[test]
fn a_clients_records_have_its_number_and_no_token() {
    let logs = Logs::install().unwrap();
    assert!(Logs::install().is_ok(), "installing again is harmless");
    let client = Client::new("ws://127.0.0.1:1/apps/x?access_token=SECRET").unwrap();
    let other = Client::new("ws://127.0.0.1:1/apps/x?access_token=SECRET").unwrap();
    // Attached after the clients were made.
    let sink = logs.attach(Some(client.number()), Level::Debug);
    let (send, records) = mpsc::channel();
    sink.deliver(move |record| drop(send.send(record))).unwrap();
    other.start().unwrap();
    client.start().unwrap();
    let mut said = String::new();
    while !said.contains("127.0.0.1:1") {
        let record = records.recv_timeout(Duration::from_secs(10)).expect("a record of the failed attempt");
        assert_eq!(record.client, Some(client.number()));
        said.push_str(&record.message);
    }
    assert!(!said.contains("SECRET"), "{said}");
    sink.close();
}
