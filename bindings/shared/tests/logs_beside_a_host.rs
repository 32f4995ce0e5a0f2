//! A host program's own `tracing` subscriber is left alone.

use realtime_pubsub::ErrorKind;
use realtime_pubsub_bindings::logs::Logs;

#[test]
fn a_hosts_subscriber_stays() {
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap();
    let error = Logs::install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("subscriber already"));
    assert!(tracing::dispatcher::get_default(|default| default.is::<tracing::subscriber::NoSubscriber>()));
}
