//! The native part of the Node package of Realtime Pub/Sub: private to the TypeScript in `ts/`, which is the package's
//! face. It converts types and threads; behaviour is the client crate's.
//!
//! What happens in a client waits in its inbox. A [`hub`], one for each JavaScript environment, wakes the event loop
//! once; JavaScript then drains each client's inbox in batches, see [`batch`].

mod batch;
mod client;
mod error;
mod faults;
mod gateway;
mod hub;
mod interned;
mod options;
mod stream;
mod text;

use napi_derive::napi;

/// The version of the package that this belongs to.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
