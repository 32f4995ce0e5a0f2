//! The gateway in the same process, for the tests of users.

use std::net::SocketAddr;
use std::time::Duration;

use pyo3::prelude::*;
use realtime_pubsub_gateway::{
    AckFault, AppOptions, ConnectFault, Faults as CoreFaults, Gateway as CoreGateway, GatewayError, GatewayOptions,
    KeySet, Limits, Target, TlsOptions, TokenRequest,
};

use crate::errors::{internal, invalid};
use crate::process::{self, Local};

fn raised(error: &GatewayError) -> PyErr {
    match error {
        GatewayError::Thread(_) => internal(error.to_string()),
        _ => invalid(error.to_string()),
    }
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid(format!("{seconds} is no number of seconds")))
}

/// Which connections: those of a subject, one by its id, or all.
fn target(subject: Option<String>, connection: Option<String>) -> PyResult<Target> {
    match (subject, connection) {
        (None, None) => Ok(Target::All),
        (Some(subject), None) => Ok(Target::Subject(subject)),
        (None, Some(id)) => Ok(Target::Connection(id)),
        (Some(_), Some(_)) => Err(invalid("give a subject or a connection, not both")),
    }
}

/// A running gateway on a thread of its own.
#[pyclass(frozen, module = "realtime_pubsub._native")]
pub(crate) struct Gateway {
    gateway: Local<CoreGateway>,
}

#[pymethods]
impl Gateway {
    #[new]
    #[pyo3(signature = (*, app, host, port, secret, admin_secret, acks, insecure, max_message_size,
        connections_per_subject, messages_per_second, tls_cert_pem, tls_key_pem))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call in the package")]
    fn new(
        py: Python<'_>,
        app: String,
        host: &str,
        port: u16,
        secret: Option<&str>,
        admin_secret: Option<&str>,
        acks: bool,
        insecure: bool,
        max_message_size: Option<usize>,
        connections_per_subject: Option<usize>,
        messages_per_second: Option<u32>,
        tls_cert_pem: Option<String>,
        tls_key_pem: Option<String>,
    ) -> PyResult<Self> {
        let host = host.parse().map_err(|_| invalid(format!("{host:?} is no IP address")))?;
        let mut limits = Limits::default().messages_per_second(messages_per_second);
        limits.message_bytes = max_message_size.unwrap_or(limits.message_bytes);
        limits.connections_per_subject = connections_per_subject.unwrap_or(limits.connections_per_subject);
        let mut app = AppOptions::new(app).acks(acks);
        if let Some(secret) = secret {
            app = app.client_keys(KeySet::secret(secret));
        }
        if let Some(secret) = admin_secret {
            app = app.admin_keys(KeySet::secret(secret));
        }
        let mut options =
            GatewayOptions::default().listen(SocketAddr::new(host, port)).app(app).limits(limits).insecure(insecure);
        match (tls_cert_pem, tls_key_pem) {
            (Some(certificates), Some(key)) => options = options.tls(TlsOptions::pem(certificates, key)),
            (None, None) => {}
            _ => return Err(invalid("tls_cert_pem and tls_key_pem go together")),
        }
        let gateway = process::detached(py, || CoreGateway::start_blocking(options)).map_err(|error| raised(&error))?;
        Ok(Gateway { gateway: Local::new(gateway) })
    }

    /// Closes all connections with code 1001 after what is queued for them, and stops. Harmless when repeated.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let gateway = self.gateway.get()?;
        process::detached(py, || gateway.stop_blocking());
        Ok(())
    }

    /// The port it listens on.
    #[getter]
    fn port(&self) -> PyResult<u16> {
        Ok(self.gateway.get()?.address().port())
    }

    /// The app's id.
    #[getter]
    fn app(&self) -> PyResult<String> {
        Ok(self.gateway.get()?.app().to_owned())
    }

    /// The app's URL without a token.
    #[getter]
    fn base_url(&self) -> PyResult<String> {
        Ok(self.gateway.get()?.url())
    }

    /// The URL that REST paths begin at: `http://127.0.0.1:port`.
    #[getter]
    fn http_url(&self) -> PyResult<String> {
        Ok(self.gateway.get()?.http_url())
    }

    /// Makes a token for clients: of this subject, with these permissions (default: all), good for so many seconds
    /// (a negative number makes one that has expired).
    #[pyo3(signature = (subject = "local", permissions = None, *, expires_in = 3600.0))]
    fn token(&self, subject: &str, permissions: Option<Vec<String>>, expires_in: f64) -> PyResult<String> {
        let request = request(subject, permissions, expires_in)?;
        self.gateway.get()?.token(request).map_err(|error| raised(&error))
    }

    /// Makes a token for REST calls.
    #[pyo3(signature = (subject = "admin", permissions = None, *, expires_in = 3600.0))]
    fn admin_token(&self, subject: &str, permissions: Option<Vec<String>>, expires_in: f64) -> PyResult<String> {
        let request = request(subject, permissions, expires_in)?;
        self.gateway.get()?.admin_token(request).map_err(|error| raised(&error))
    }

    /// The open connections: their ids and subjects.
    fn connections(&self) -> PyResult<Vec<(String, String)>> {
        let connections = self.gateway.get()?.connections();
        Ok(connections.into_iter().map(|connection| (connection.id, connection.subject)).collect())
    }

    /// The faults it can be told to have.
    #[getter]
    fn faults(&self) -> PyResult<Faults> {
        Ok(Faults(self.gateway.get()?.faults()))
    }
}

fn request(subject: &str, permissions: Option<Vec<String>>, expires_in: f64) -> PyResult<TokenRequest> {
    let mut request = TokenRequest::new(subject);
    if let Some(permissions) = permissions {
        request = request.permissions(permissions);
    }
    Ok(if expires_in < 0.0 { request.expires_at(1) } else { request.expires_in(duration(expires_in)?) })
}

/// What a bad network or a bad gateway does, on purpose. Where `subject` and `connection` are left out, all connections
/// are meant.
#[pyclass(frozen, module = "realtime_pubsub", name = "Faults")]
pub(crate) struct Faults(CoreFaults);

impl Faults {
    fn connect(&self, fault: ConnectFault, count: Option<usize>) {
        match count {
            None => self.0.on_connect(fault),
            Some(count) => self.0.on_next_connects(count, fault),
        }
    }
}

#[pymethods]
impl Faults {
    /// Sends no acks from now on. Messages are delivered all the same.
    fn drop_acks(&self) {
        self.0.acks(AckFault::Drop);
    }

    /// Sends acks so many seconds late from now on.
    fn delay_acks(&self, seconds: f64) -> PyResult<()> {
        self.0.acks(AckFault::Delay(duration(seconds)?));
        Ok(())
    }

    /// Sends acks as usual again.
    fn send_acks(&self) {
        self.0.acks(AckFault::None);
    }

    /// Neither reads from nor writes to connections, which stay open.
    #[pyo3(signature = (*, subject = None, connection = None))]
    fn stall(&self, subject: Option<String>, connection: Option<String>) -> PyResult<()> {
        self.0.stall(target(subject, connection)?);
        Ok(())
    }

    /// Ends all stalls.
    fn unstall(&self) {
        self.0.unstall();
    }

    /// Leaves pings unanswered from now on, or answers them again.
    #[pyo3(signature = (swallow = true))]
    fn swallow_pings(&self, swallow: bool) {
        self.0.swallow_pings(swallow);
    }

    /// Writes so many bytes at a time, with a pause of so many seconds between.
    fn split_writes(&self, size: usize, pause: f64) -> PyResult<()> {
        self.0.split_writes(size, duration(pause)?);
        Ok(())
    }

    /// Writes as usual again.
    fn whole_writes(&self) {
        self.0.whole_writes();
    }

    /// Refuses the upgrade of new connections with this HTTP status: all of them, or the next `count`.
    #[pyo3(signature = (status = 503, count = None))]
    fn refuse_connects(&self, status: u16, count: Option<usize>) {
        self.connect(ConnectFault::Refuse(status), count);
    }

    /// Accepts new connections, and never says a word.
    #[pyo3(signature = (count = None))]
    fn half_open_connects(&self, count: Option<usize>) {
        self.connect(ConnectFault::HalfOpen, count);
    }

    /// Resets new connections at once.
    #[pyo3(signature = (count = None))]
    fn reset_connects(&self, count: Option<usize>) {
        self.connect(ConnectFault::ResetTcp, count);
    }

    /// Upgrades new connections, and sends no welcome.
    #[pyo3(signature = (count = None))]
    fn withhold_welcome(&self, count: Option<usize>) {
        self.connect(ConnectFault::NoWelcome, count);
    }

    /// Closes new connections with this code right after the welcome.
    #[pyo3(signature = (code = 1008, count = None))]
    fn close_after_welcome(&self, code: u16, count: Option<usize>) {
        self.connect(ConnectFault::CloseAfterWelcome(code), count);
    }

    /// Closes new connections with this code in place of the welcome.
    #[pyo3(signature = (code = 1008, count = None))]
    fn close_before_welcome(&self, code: u16, count: Option<usize>) {
        self.connect(ConnectFault::CloseBeforeWelcome(code), count);
    }

    /// Takes new connections as usual again.
    fn accept_connects(&self) {
        self.0.on_connect(None);
    }

    /// Closes connections with this code and reason. Says how many.
    #[pyo3(signature = (code = 1000, reason = "", *, subject = None, connection = None))]
    fn close(&self, code: u16, reason: &str, subject: Option<String>, connection: Option<String>) -> PyResult<usize> {
        Ok(self.0.close(target(subject, connection)?, code, reason))
    }

    /// Resets connections without a close frame. Says how many.
    #[pyo3(signature = (*, subject = None, connection = None))]
    fn reset(&self, subject: Option<String>, connection: Option<String>) -> PyResult<usize> {
        Ok(self.0.reset(target(subject, connection)?))
    }

    /// Sends a text frame of any content, so many times. Says to how many connections.
    #[pyo3(signature = (text, *, times = 1, subject = None, connection = None))]
    fn send_text(
        &self,
        py: Python<'_>,
        text: &str,
        times: usize,
        subject: Option<String>,
        connection: Option<String>,
    ) -> PyResult<usize> {
        let target = target(subject, connection)?;
        Ok(process::detached(py, || (0..times).map(|_| self.0.send_text(target.clone(), text)).max().unwrap_or(0)))
    }

    /// Sends a binary frame of any content. Says to how many connections.
    #[pyo3(signature = (content, *, subject = None, connection = None))]
    fn send_binary(&self, content: &[u8], subject: Option<String>, connection: Option<String>) -> PyResult<usize> {
        Ok(self.0.send_binary(target(subject, connection)?, content))
    }

    /// Writes bytes that need not be a frame, behind the frames that are queued. Says to how many connections.
    #[pyo3(signature = (content, *, subject = None, connection = None))]
    fn send_bytes(&self, content: &[u8], subject: Option<String>, connection: Option<String>) -> PyResult<usize> {
        Ok(self.0.send_bytes(target(subject, connection)?, content))
    }

    /// Ends all faults. Connections that were closed stay closed.
    fn clear(&self) {
        self.0.clear();
    }
}
