//! Faults of the local gateway, to test what your program does about a bad network.

use std::ffi::c_char;
use std::time::Duration;

use realtime_pubsub_gateway::{AckFault, ConnectFault, Target};

use crate::boundary::{boundary, invalid};
use crate::errors::rps_error;
use crate::gateway::{gateway, target};
use crate::handles::rps_gateway;
use crate::input::text;

/// Ends all faults.
pub const RPS_FAULT_NONE: i32 = 0;
/// Acks are not sent.
pub const RPS_FAULT_DROP_ACKS: i32 = 1;
/// Acks are sent `value` ms later.
pub const RPS_FAULT_DELAY_ACKS: i32 = 2;
/// All connections stop: nothing is read from them or written to them.
pub const RPS_FAULT_STALL: i32 = 3;
/// Pings are not answered.
pub const RPS_FAULT_SWALLOW_PINGS: i32 = 4;
/// At most `value` bytes are written at a time.
pub const RPS_FAULT_SPLIT_WRITES: i32 = 5;
/// New connections are accepted, and nothing ever comes over them.
pub const RPS_FAULT_HALF_OPEN: i32 = 6;
/// New connections are accepted and closed at once.
pub const RPS_FAULT_CLOSE_TCP: i32 = 7;
/// Upgrades are refused with HTTP status `value`.
pub const RPS_FAULT_REFUSE: i32 = 8;
/// New connections get no welcome.
pub const RPS_FAULT_NO_WELCOME: i32 = 9;
/// New connections are closed with code `value` after their welcome.
pub const RPS_FAULT_CLOSE_AFTER_WELCOME: i32 = 10;
/// All present connections are reset, with no close frame. That is done at once and ends nothing else.
pub const RPS_FAULT_RESET: i32 = 11;

/// Turns a fault on. Those of new connections replace each other; RPS_FAULT_NONE ends all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_fault(gateway: rps_gateway, fault: i32, value: u32, error: *mut rps_error) -> i32 {
    boundary(error, || {
        let faults = self::gateway(gateway)?.0.faults();
        let small =
            || u16::try_from(value).map_err(|_| invalid(format!("the value {value} of this fault is more than 65535")));
        match fault {
            RPS_FAULT_NONE => faults.clear(),
            RPS_FAULT_DROP_ACKS => faults.acks(AckFault::Drop),
            RPS_FAULT_DELAY_ACKS => faults.acks(AckFault::Delay(Duration::from_millis(value.into()))),
            RPS_FAULT_STALL => faults.stall(Target::All),
            RPS_FAULT_SWALLOW_PINGS => faults.swallow_pings(true),
            RPS_FAULT_SPLIT_WRITES => faults.split_writes(value as usize, Duration::ZERO),
            RPS_FAULT_HALF_OPEN => faults.on_connect(ConnectFault::HalfOpen),
            RPS_FAULT_CLOSE_TCP => faults.on_connect(ConnectFault::CloseTcp),
            RPS_FAULT_REFUSE => faults.on_connect(ConnectFault::Refuse(small()?)),
            RPS_FAULT_NO_WELCOME => faults.on_connect(ConnectFault::NoWelcome),
            RPS_FAULT_CLOSE_AFTER_WELCOME => faults.on_connect(ConnectFault::CloseAfterWelcome(small()?)),
            RPS_FAULT_RESET => drop(faults.reset(Target::All)),
            other => return Err(invalid(format!("{other} is none of RPS_FAULT_…"))),
        }
        Ok(())
    })
}

/// Sends a text frame of any content to the connections of a subject, or to all where `subject` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_send_text(
    gateway: rps_gateway,
    subject: *const c_char,
    subject_len: usize,
    frame: *const c_char,
    frame_len: usize,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (target, frame) = unsafe { (target(subject, subject_len)?, text(frame, frame_len, "frame")?) };
        self::gateway(gateway)?.0.faults().send_text(target, frame);
        Ok(())
    })
}
