//! The subcommands, each with its arguments, its help and what it does.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod gateway;
pub(crate) mod publish;
pub(crate) mod request;
pub(crate) mod serve;
pub(crate) mod subscribe;
pub(crate) mod token;
