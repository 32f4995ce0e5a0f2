//! The wire of Realtime Pub/Sub, without I/O.
//!
//! Everything that client and gateway must agree on lives here, once:
//!
//! * [`frame`]: what a client sends, [`ClientFrame`] for reading and the `encode_*` functions for writing;
//! * [`envelope`]: what a gateway sends, [`Envelope`] for reading and [`envelope::Delivery`] for writing;
//! * [`pattern`]: event patterns with `*` and `**`, and an index that finds all that match a name;
//! * [`permission`]: what a token's claims allow;
//! * [`json`]: raw JSON text, kept as it came, and [`scan`], the reader that cuts it out.
//!
//! Parsing borrows from the frame and copies nothing but escaped strings. It never panics, takes any JSON where
//! the protocol promises none in particular, and ignores fields it does not know.
//!
//! ```
//! use realtime_pubsub_protocol::{Envelope, Pattern};
//!
//! let frame = r#"{"topic":"chat","messageType":"text","data":{"payload":"hi","id":"1"},"new":true}"#;
//! let envelope = Envelope::parse(frame)?;
//! assert_eq!((&*envelope.topic, &*envelope.message_type), ("chat", "text"));
//! assert_eq!(envelope.message_data().payload.as_str(), r#""hi""#);
//! assert!(Pattern::parse("chat.*")?.matches("chat.text"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod envelope;
pub mod frame;
pub mod json;
pub mod pattern;
pub mod permission;
pub mod scan;

pub use envelope::{Envelope, MessageData, Response, Sender};
pub use frame::ClientFrame;
pub use json::RawJson;
pub use pattern::{Pattern, PatternIndex};
pub use permission::Permissions;

/// The topic every connection is subscribed to from the start; the welcome comes on it.
pub const TOPIC_MAIN: &str = "main";
/// The topic acknowledgements come on.
pub const TOPIC_ACKS: &str = "priv/acks";
/// The prefix of topics that belong to one connection or one subject.
pub const PREFIX_PRIVATE: &str = "priv/";
/// The prefix of topics that need a permission to subscribe to.
pub const PREFIX_SECURE: &str = "secure/";
/// The topic that sent messages and presence are delivered on.
pub const TOPIC_INBOUND: &str = "secure/inbound";

/// The type of the welcome.
pub const TYPE_WELCOME: &str = "welcome";
/// The type of an acknowledgement.
pub const TYPE_ACK: &str = "ack";
/// The type of a reply.
pub const TYPE_RESPONSE: &str = "response";
/// The type of a presence message.
pub const TYPE_PRESENCE: &str = "presence";
/// The type of a message that was published without one.
pub const TYPE_BROADCAST: &str = "broadcast";

/// The reason with which a gateway closes a connection that subscribed to a secure topic it may not read.
pub const REASON_FORBIDDEN: &str = "Subscription to secure topic is forbidden!";
