//! What keepalive finds, what a heartbeat finds, when, and at what cost: measured in virtual time, a test for each line of
//! docs/heartbeat.md.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)] // a test that fails may well panic

mod again;
mod page;
mod rig;
mod streams;
mod tasks;
mod told;
mod watched;
