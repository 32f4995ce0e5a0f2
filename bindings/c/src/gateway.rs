//! The local gateway: a server within the process, on a free port, so that your tests need no network and no account.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use realtime_pubsub::{Error, ErrorKind, block_on};
use realtime_pubsub_bindings::handles::Named;
use realtime_pubsub_gateway::{
    AppOptions, Gateway, GatewayError, GatewayOptions, KeySet, Limits, Target, TokenRequest,
};

use crate::HANDLES;
use crate::boundary::{Result, boundary, invalid};
use crate::errors::rps_error;
use crate::handles::{rps_gateway, rps_text};
use crate::input::{Out, Sized_, read_struct, rps_str, text};
use crate::options::array;
use crate::texts::give;

pub(crate) struct LocalGateway(pub(crate) Gateway);

impl Named for LocalGateway {
    const NAME: &'static str = "gateway";
}

pub(crate) fn gateway(handle: rps_gateway) -> Result<Arc<LocalGateway>> {
    HANDLES.get(handle)
}

/// Options of a local gateway. Begin with RPS_GATEWAY_OPTIONS_INIT; 0 (NULL, empty) is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_gateway_options {
    /// sizeof(rps_gateway_options).
    pub size: usize,
    /// The port of 127.0.0.1 to listen on. Default: a free one.
    pub port: u16,
    /// 1: acknowledge nothing.
    pub no_acks: u16,
    /// 1: take any token or none.
    pub insecure: i32,
    /// The app's id. Default: "local".
    pub app: rps_str,
    /// The secret that tokens are signed with. Default: a fresh one.
    pub secret: rps_str,
    /// The largest message. Default 1 MiB.
    pub message_bytes: u64,
    /// Bytes that may wait for a client that reads too slowly. Default 8 MiB.
    pub outbound_bytes: u64,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_gateway_options {
    const NAME: &'static str = "rps_gateway_options";
}

/// Starts a gateway on a thread of its own. `options` may be NULL. Free it with rps_gateway_free().
///
///     rps_gateway gateway;
///     rps_text url;
///     rps_gateway_start(NULL, &gateway, NULL);
///     rps_gateway_url_with_token(gateway, RPS_LIT("alice"), NULL, &url, NULL);
///
/// RPS_INVALID_ARGUMENT for options that make no sense and for a port that is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_start(
    options: *const rps_gateway_options,
    gateway: *mut rps_gateway,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (given, out) = unsafe { (read_struct(options)?, Out::new(gateway, "gateway")?) };
        // SAFETY: as above.
        let (id, secret) = unsafe { (given.app.given("options.app")?, given.secret.given("options.secret")?) };
        crate::logger::prepare();
        let mut app = AppOptions::new(id.unwrap_or("local")).acks(given.no_acks == 0);
        if let Some(secret) = secret {
            app = app.client_keys(KeySet::secret(secret));
        }
        let mut limits = Limits::default();
        if given.message_bytes > 0 {
            limits = limits.message_bytes(usize::try_from(given.message_bytes).unwrap_or(usize::MAX));
        }
        if given.outbound_bytes > 0 {
            limits = limits.outbound_bytes(usize::try_from(given.outbound_bytes).unwrap_or(usize::MAX));
        }
        let options = GatewayOptions::default()
            .listen(([127, 0, 0, 1], given.port).into())
            .app(app)
            .limits(limits)
            .insecure(given.insecure != 0);
        out.write(HANDLES.insert(LocalGateway(Gateway::start_blocking(options).map_err(failed)?))?);
        Ok(())
    })
}

fn failed(error: GatewayError) -> Error {
    match error {
        GatewayError::Thread(_) => Error::new(ErrorKind::Internal, error.to_string()),
        _ => invalid(error.to_string()),
    }
}

/// Options of a token. Begin with RPS_TOKEN_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_token_options {
    /// sizeof(rps_token_options).
    pub size: usize,
    /// The permissions. NULL: all. To give none, point to something and set the length to 0.
    pub permissions: *const rps_str,
    /// How many permissions those are.
    pub permissions_len: usize,
    /// How long it is good for, from now. Default: an hour. Negative: it has expired.
    pub expires_in_s: i64,
}

// SAFETY: `repr(C)`, the size comes first, and zeros are null pointers and numbers.
unsafe impl Sized_ for rps_token_options {
    const NAME: &'static str = "rps_token_options";
}

/// # Safety
/// The pointers are as the header asks.
unsafe fn request(
    subject: *const c_char,
    subject_len: usize,
    options: *const rps_token_options,
) -> Result<TokenRequest> {
    // SAFETY: the caller's promise.
    let (subject, options) = unsafe { (text(subject, subject_len, "subject")?, read_struct(options)?) };
    let mut request = TokenRequest::new(subject);
    if !options.permissions.is_null() {
        // SAFETY: the caller's promise.
        let permissions = unsafe { array(options.permissions, options.permissions_len, "options.permissions")? };
        let mut names = Vec::with_capacity(permissions.len());
        for permission in permissions {
            // SAFETY: the caller's promise.
            names.push(unsafe { permission.text("a permission")? });
        }
        request = request.permissions(names);
    }
    Ok(match options.expires_in_s {
        0 => request,
        seconds @ 1.. => request.expires_in(Duration::from_secs(seconds.unsigned_abs())),
        _ => request.expires_at(1),
    })
}

/// Makes a token for a client with this subject. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_token(
    gateway: rps_gateway,
    subject: *const c_char,
    subject_len: usize,
    options: *const rps_token_options,
    token: *mut rps_text,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (request, out) = unsafe { (request(subject, subject_len, options)?, Out::new(token, "token")?) };
        give(self::gateway(gateway)?.0.token(request).map_err(failed)?, out)
    })
}

/// The gateway's URL with a token for a client with this subject: all that a client needs. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_url_with_token(
    gateway: rps_gateway,
    subject: *const c_char,
    subject_len: usize,
    options: *const rps_token_options,
    url: *mut rps_text,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (request, out) = unsafe { (request(subject, subject_len, options)?, Out::new(url, "url")?) };
        give(self::gateway(gateway)?.0.url_with_token(request).map_err(failed)?, out)
    })
}

/// The gateway's URL without a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_url(gateway: rps_gateway, url: *mut rps_text, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(url, "url")? };
        give(self::gateway(gateway)?.0.url(), out)
    })
}

/// The URL that REST paths begin at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_http_url(gateway: rps_gateway, url: *mut rps_text, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(url, "url")? };
        give(self::gateway(gateway)?.0.http_url(), out)
    })
}

/// Makes a token for REST calls. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_admin_token(
    gateway: rps_gateway,
    subject: *const c_char,
    subject_len: usize,
    options: *const rps_token_options,
    token: *mut rps_text,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (request, out) = unsafe { (request(subject, subject_len, options)?, Out::new(token, "token")?) };
        give(self::gateway(gateway)?.0.admin_token(request).map_err(failed)?, out)
    })
}

/// How many connections the gateway has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_connections(gateway: rps_gateway, count: *mut u64, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(count, "count")? };
        out.write(self::gateway(gateway)?.0.connections().len() as u64);
        Ok(())
    })
}

/// Closes connections with this code and reason, after what is queued for them: those of a subject, or all where `subject`
/// is NULL. `closed`, which may be NULL, is how many there were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_kick(
    gateway: rps_gateway,
    subject: *const c_char,
    subject_len: usize,
    code: u16,
    reason: *const c_char,
    reason_len: usize,
    closed: *mut u64,
    error: *mut rps_error,
) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of these pointers.
        let (target, reason, out) =
            unsafe { (target(subject, subject_len)?, text(reason, reason_len, "reason")?, Out::optional(closed)) };
        let count = self::gateway(gateway)?.0.kick(target, code, reason);
        if let Some(out) = out {
            out.write(count as u64);
        }
        Ok(())
    })
}

/// # Safety
/// As for text.
pub(crate) unsafe fn target(subject: *const c_char, len: usize) -> Result<Target> {
    if subject.is_null() {
        return Ok(Target::All);
    }
    // SAFETY: the caller's promise.
    Ok(Target::Subject(unsafe { text(subject, len, "subject")? }.to_owned()))
}

/// Stops a gateway: closes all connections after what is queued for them, and returns when they are gone, or after 5 s.
/// The handle stays valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_stop(gateway: rps_gateway, error: *mut rps_error) -> i32 {
    boundary(error, || block_on(self::gateway(gateway)?.0.stop()))
}

/// Frees a gateway. One that was not stopped ends at once, without a word to its clients.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_gateway_free(gateway: rps_gateway, error: *mut rps_error) -> i32 {
    boundary(error, || HANDLES.remove::<LocalGateway>(gateway).map(drop))
}
