//! The C ABI of Realtime Pub/Sub: `extern "C"` functions over the client, and nothing else.
//!
//! `include/realtime_pubsub.h` is made from these modules, one section for each, by `examples/header.rs`: what is said
//! there is said here. The rules that all functions keep are in [`boundary`] (errors, panics, arguments), [`callback`]
//! (functions of the program that are called) and [`held`] (what messages and their texts live on).
//!
//! Names are C's, so that the header needs no table of renames.
#![allow(non_camel_case_types)]
// What a function needs of its pointers is said once, for all of them, at the top of the header.
#![allow(clippy::missing_safety_doc)]

mod boundary;
pub mod callback;
pub mod client;
mod dispatch;
pub mod errors;
pub mod event;
pub mod faults;
pub mod gateway;
pub mod handles;
mod held;
pub mod input;
pub mod listen;
pub mod logger;
pub mod message;
pub mod options;
pub mod provider;
pub mod publish;
pub mod stream;
pub mod texts;
pub mod wait;
mod waiting;

use realtime_pubsub_bindings::handles::Handles;

/// All handles of the process.
pub(crate) static HANDLES: Handles = Handles::new();
