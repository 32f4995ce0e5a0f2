//! The example programs are in `src/bin`. This library has nothing but the README, whose Rust code is run as a test.
#![cfg(doctest)]

#[doc = include_str!("../../../README.md")]
pub struct Readme;
