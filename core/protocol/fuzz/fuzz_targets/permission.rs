//! Permissions: a grant gives its own topic, or those of its prefix, and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_pubsub_protocol::Permissions;

fuzz_target!(|input: (&str, &str, &str)| {
    let (grant, topic, scope) = input;
    let expected = grant.strip_suffix('*').map_or(grant == topic, |prefix| topic.starts_with(prefix));
    let writes = Permissions::new([format!("realtime:publisher:write:topic:{grant}")]);
    assert_eq!(writes.publish(topic), expected);
    let reads = Permissions::new([format!("realtime:subscriber:read:topic:{grant}")]);
    assert_eq!(reads.subscribe(topic), expected || !topic.starts_with("secure/"));
    assert!(!reads.publish(topic));
    let from_scope = Permissions::from_scope(scope);
    assert_eq!(from_scope.publish(topic), Permissions::new(scope.split_ascii_whitespace()).publish(topic));
});
