//! The embedded gateway, so that tests need no network.

use std::sync::Arc;
use std::time::Duration;

use realtime_pubsub::{Error, ErrorKind};
use realtime_pubsub_gateway::{
    AckFault, AppOptions, ConnectFault, Gateway, GatewayError, GatewayOptions, Limits, Target, TokenRequest,
};

use crate::error::{CoreError, invalid};

/// How the gateway is to run. What is absent is its default.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct GatewaySettings {
    /// Where to listen: `127.0.0.1:0` and a free port unless given.
    #[uniffi(default = None)]
    pub listen: Option<String>,
    /// The app's id, `local` unless given.
    #[uniffi(default = None)]
    pub app: Option<String>,
    /// Whether messages are acknowledged.
    #[uniffi(default = true)]
    pub acks: bool,
    /// Take any token or none.
    #[uniffi(default = false)]
    pub insecure: bool,
    /// Bytes of one message.
    #[uniffi(default = None)]
    pub message_bytes: Option<u64>,
    /// Connections with the same subject.
    #[uniffi(default = None)]
    pub connections_per_subject: Option<u64>,
    /// Messages a second on one connection.
    #[uniffi(default = None)]
    pub messages_per_second: Option<u32>,
    /// Bytes that may wait to be written to one connection.
    #[uniffi(default = None)]
    pub outbound_bytes: Option<u64>,
    /// How long to wait for clients when it stops, in milliseconds.
    #[uniffi(default = None)]
    pub drain_ms: Option<u64>,
}

/// What a token says.
#[derive(Clone, Debug, uniffi::Record)]
pub struct TokenSettings {
    /// Whose it is.
    pub subject: String,
    /// What it permits; all unless given.
    #[uniffi(default = None)]
    pub permissions: Option<Vec<String>>,
    /// How long it is good, in seconds; an hour unless given.
    #[uniffi(default = None)]
    pub expires_in_seconds: Option<u64>,
}

impl From<TokenSettings> for TokenRequest {
    fn from(settings: TokenSettings) -> Self {
        let mut request = TokenRequest::new(settings.subject);
        if let Some(permissions) = settings.permissions {
            request = request.permissions(permissions);
        }
        if let Some(seconds) = settings.expires_in_seconds {
            request = request.expires_in(Duration::from_secs(seconds));
        }
        request
    }
}

/// Which connections are meant.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum GatewayTarget {
    /// All.
    All,
    /// The one with this id.
    Connection {
        /// The id.
        id: String,
    },
    /// Those whose token has this subject.
    Subject {
        /// The subject.
        subject: String,
    },
}

impl From<GatewayTarget> for Target {
    fn from(target: GatewayTarget) -> Self {
        match target {
            GatewayTarget::All => Target::All,
            GatewayTarget::Connection { id } => Target::Connection(id),
            GatewayTarget::Subject { subject } => Target::Subject(subject),
        }
    }
}

/// What happens to new connections.
#[derive(Clone, Debug, uniffi::Enum)]
pub enum ConnectionFault {
    /// Nothing ever comes.
    HalfOpen,
    /// Closed at once.
    CloseTcp,
    /// Reset at once.
    ResetTcp,
    /// Refused with this HTTP status.
    Refuse {
        /// The status.
        status: u16,
    },
    /// No welcome comes.
    NoWelcome,
    /// Closed after the welcome.
    CloseAfterWelcome {
        /// The close code.
        code: u16,
    },
    /// Closed in place of the welcome.
    CloseBeforeWelcome {
        /// The close code.
        code: u16,
    },
}

impl From<ConnectionFault> for ConnectFault {
    fn from(fault: ConnectionFault) -> Self {
        match fault {
            ConnectionFault::HalfOpen => ConnectFault::HalfOpen,
            ConnectionFault::CloseTcp => ConnectFault::CloseTcp,
            ConnectionFault::ResetTcp => ConnectFault::ResetTcp,
            ConnectionFault::Refuse { status } => ConnectFault::Refuse(status),
            ConnectionFault::NoWelcome => ConnectFault::NoWelcome,
            ConnectionFault::CloseAfterWelcome { code } => ConnectFault::CloseAfterWelcome(code),
            ConnectionFault::CloseBeforeWelcome { code } => ConnectFault::CloseBeforeWelcome(code),
        }
    }
}

/// A connection to the gateway.
#[derive(Clone, Debug, uniffi::Record)]
pub struct GatewayConnection {
    /// Its id.
    pub id: String,
    /// The app's.
    pub app: String,
    /// Its token's subject.
    pub subject: String,
    /// The client's address.
    pub remote_address: String,
}

/// A gateway in this process. It ends when this is dropped.
#[derive(uniffi::Object)]
pub struct CoreGateway(Gateway);

fn failed(error: GatewayError) -> CoreError {
    let kind = match error {
        GatewayError::Listen { .. } | GatewayError::Thread(_) => ErrorKind::Internal,
        _ => ErrorKind::InvalidArgument,
    };
    Error::new(kind, error.to_string()).into()
}

fn size(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[uniffi::export]
impl CoreGateway {
    /// Starts it on a thread of its own.
    #[uniffi::constructor]
    pub fn start(settings: GatewaySettings) -> Result<Arc<Self>, CoreError> {
        let mut limits = Limits::default().messages_per_second(settings.messages_per_second);
        if let Some(bytes) = settings.message_bytes {
            limits = limits.message_bytes(size(bytes));
        }
        if let Some(number) = settings.connections_per_subject {
            limits = limits.connections_per_subject(size(number));
        }
        if let Some(bytes) = settings.outbound_bytes {
            limits = limits.outbound_bytes(size(bytes));
        }
        let app = AppOptions::new(settings.app.as_deref().unwrap_or("local")).acks(settings.acks);
        let mut options = GatewayOptions::default().app(app).limits(limits).insecure(settings.insecure);
        if let Some(listen) = settings.listen {
            options = options.listen(listen.parse().map_err(|_| invalid(format!("{listen:?} is no address:port")))?);
        }
        if let Some(ms) = settings.drain_ms {
            options = options.drain(Duration::from_millis(ms));
        }
        Gateway::start_blocking(options).map(|gateway| Arc::new(CoreGateway(gateway))).map_err(failed)
    }

    /// The app's URL, without a token.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The URL that REST paths begin at.
    pub fn http_url(&self) -> String {
        self.0.http_url()
    }

    /// The app's URL with a token.
    pub fn url_with_token(&self, token: TokenSettings) -> Result<String, CoreError> {
        self.0.url_with_token(token).map_err(failed)
    }

    /// A token for clients.
    pub fn token(&self, token: TokenSettings) -> Result<String, CoreError> {
        self.0.token(token).map_err(failed)
    }

    /// A token for REST calls.
    pub fn admin_token(&self, token: TokenSettings) -> Result<String, CoreError> {
        self.0.admin_token(token).map_err(failed)
    }

    /// The connections there are.
    pub fn connections(&self) -> Vec<GatewayConnection> {
        let connections = self.0.connections().into_iter();
        connections
            .map(|connection| GatewayConnection {
                id: connection.id,
                app: connection.app,
                subject: connection.subject,
                remote_address: connection.remote_address.to_string(),
            })
            .collect()
    }

    /// Closes connections after what is queued for them. How many.
    pub fn kick(&self, target: GatewayTarget, code: u16, reason: String) -> u64 {
        self.0.kick(target.into(), code, &reason) as u64
    }

    /// Stops: closes all connections and waits for that.
    pub async fn stop(&self) {
        self.0.stop().await;
    }

    // ---- faults

    /// Acks are not sent.
    pub fn drop_acks(&self) {
        self.0.faults().acks(AckFault::Drop);
    }

    /// Acks are sent this much later, or, with 0, at once again.
    pub fn delay_acks(&self, ms: u64) {
        self.0.faults().acks(if ms == 0 { AckFault::None } else { AckFault::Delay(Duration::from_millis(ms)) });
    }

    /// Stops reading and writing.
    pub fn stall(&self, target: GatewayTarget) {
        self.0.faults().stall(target.into());
    }

    /// Ends all stalls.
    pub fn unstall(&self) {
        self.0.faults().unstall();
    }

    /// Answers pings no more, or again.
    pub fn swallow_pings(&self, swallow: bool) {
        self.0.faults().swallow_pings(swallow);
    }

    /// Writes in pieces.
    pub fn split_writes(&self, bytes: u32, pause_ms: u64) {
        self.0.faults().split_writes(bytes as usize, Duration::from_millis(pause_ms));
    }

    /// What happens to new connections: to the next `count`, or to all.
    pub fn fail_connects(&self, fault: ConnectionFault, count: Option<u32>) {
        match count {
            Some(count) => self.0.faults().on_next_connects(count as usize, fault.into()),
            None => self.0.faults().on_connect(ConnectFault::from(fault)),
        }
    }

    /// Resets connections. How many.
    pub fn reset(&self, target: GatewayTarget) -> u64 {
        self.0.faults().reset(target.into()) as u64
    }

    /// Sends a text frame of any content. To how many connections.
    pub fn send_text(&self, target: GatewayTarget, text: String) -> u64 {
        self.0.faults().send_text(target.into(), text) as u64
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.0.faults().clear();
    }
}
