//! A connection from its welcome to its end: whatever a client does, nothing panics, nothing it must not see reaches
//! it, nobody else suffers, and in the end it is gone and leaves nothing behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_pubsub_gateway::simulation::{run, steps};

fuzz_target!(|bytes: &[u8]| run(&steps(bytes)));
