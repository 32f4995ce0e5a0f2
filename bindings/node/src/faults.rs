//! The gateway's faults, for tests.

use napi_derive::napi;
use realtime_pubsub_gateway::{AckFault, ConnectFault, Faults};

use crate::error::{Result, invalid};
use crate::gateway::target;
use crate::options::duration;

#[napi]
pub struct NativeFaults {
    faults: Faults,
}

impl NativeFaults {
    pub(crate) fn new(faults: Faults) -> Self {
        NativeFaults { faults }
    }
}

fn connect_fault(kind: &str, code: Option<u16>) -> Result<ConnectFault> {
    Ok(match (kind, code) {
        ("half-open", _) => ConnectFault::HalfOpen,
        ("close-tcp", _) => ConnectFault::CloseTcp,
        ("reset-tcp", _) => ConnectFault::ResetTcp,
        ("no-welcome", _) => ConnectFault::NoWelcome,
        ("refuse", Some(status)) => ConnectFault::Refuse(status),
        ("close-after-welcome", Some(code)) => ConnectFault::CloseAfterWelcome(code),
        ("close-before-welcome", Some(code)) => ConnectFault::CloseBeforeWelcome(code),
        _ => return Err(invalid(format!("{kind:?} is no connect fault, or one that needs a code"))),
    })
}

#[napi]
impl NativeFaults {
    #[napi(catch_unwind)]
    pub fn acks(&self, kind: String, delay: Option<f64>) -> Result<()> {
        let fault = match (kind.as_str(), delay.and_then(duration)) {
            ("none", _) => AckFault::None,
            ("drop", _) => AckFault::Drop,
            ("delay", Some(delay)) => AckFault::Delay(delay),
            _ => return Err(invalid("acks are \"none\", \"drop\" or a delay in milliseconds")),
        };
        self.faults.acks(fault);
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn stall(&self, by: String, value: Option<String>) {
        self.faults.stall(target(&by, value));
    }

    #[napi(catch_unwind)]
    pub fn unstall(&self) {
        self.faults.unstall();
    }

    #[napi(catch_unwind)]
    pub fn swallow_pings(&self, swallow: bool) {
        self.faults.swallow_pings(swallow);
    }

    #[napi(catch_unwind)]
    pub fn split_writes(&self, bytes: u32, pause: f64) {
        self.faults.split_writes(bytes as usize, duration(pause).unwrap_or_default());
    }

    #[napi(catch_unwind)]
    pub fn whole_writes(&self) {
        self.faults.whole_writes();
    }

    /// Concerns the next `count` connections, or all.
    #[napi(catch_unwind)]
    pub fn on_connect(&self, kind: String, code: Option<u16>, count: Option<u32>) -> Result<()> {
        let fault = connect_fault(&kind, code)?;
        match count {
            Some(count) => self.faults.on_next_connects(count as usize, fault),
            None => self.faults.on_connect(fault),
        }
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn connect_well(&self) {
        self.faults.on_connect(None);
    }

    #[napi(catch_unwind)]
    pub fn close(&self, by: String, value: Option<String>, code: u16, reason: String) -> u32 {
        self.faults.close(target(&by, value), code, &reason) as u32
    }

    #[napi(catch_unwind)]
    pub fn reset(&self, by: String, value: Option<String>) -> u32 {
        self.faults.reset(target(&by, value)) as u32
    }

    #[napi(catch_unwind)]
    pub fn send_text(&self, by: String, value: Option<String>, text: String) -> u32 {
        self.faults.send_text(target(&by, value), text) as u32
    }

    #[napi(catch_unwind)]
    pub fn send_binary(&self, by: String, value: Option<String>, bytes: &[u8]) -> u32 {
        self.faults.send_binary(target(&by, value), bytes) as u32
    }

    #[napi(catch_unwind)]
    pub fn send_bytes(&self, by: String, value: Option<String>, bytes: &[u8]) -> u32 {
        self.faults.send_bytes(target(&by, value), bytes) as u32
    }

    #[napi(catch_unwind)]
    pub fn clear(&self) {
        self.faults.clear();
    }
}
