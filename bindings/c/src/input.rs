//! What C passes in and gets back: text, JSON, structs that say their size, pointers to write to.

use std::ffi::c_char;
use std::time::Duration;

use realtime_pubsub::RawJson;

use crate::boundary::{Result, invalid};

/// The time limit that the client's options say, 5 s for waits unless changed, for functions that take milliseconds.
pub const RPS_DEFAULT_TIMEOUT: i64 = -1;

/// Text, or bytes: where it begins and how long it is. Text is UTF-8 and need not end with NUL.
///
/// A view that the library gives is valid as long as the function that gives it says. One that you give is copied
/// before the function returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rps_str {
    /// Where it begins. May be NULL where `len` is 0.
    pub data: *const c_char,
    /// How many bytes it has.
    pub len: usize,
}

impl rps_str {
    pub(crate) const EMPTY: rps_str = rps_str { data: c"".as_ptr(), len: 0 };

    pub(crate) fn view(text: &str) -> Self {
        rps_str { data: text.as_ptr().cast(), len: text.len() }
    }

    /// The text, empty or not.
    ///
    /// # Safety
    /// As for [`bytes`].
    pub(crate) unsafe fn text<'a>(self, name: &str) -> Result<&'a str> {
        // SAFETY: the caller's promise is the same.
        unsafe { text(self.data, self.len, name) }
    }

    /// The text; `None` where it is empty.
    ///
    /// # Safety
    /// As for [`bytes`].
    pub(crate) unsafe fn given<'a>(self, name: &str) -> Result<Option<&'a str>> {
        // SAFETY: the caller's promise is the same.
        let text = unsafe { text(self.data, self.len, name)? };
        Ok((!text.is_empty()).then_some(text))
    }
}

/// The bytes that a pointer and a length say.
///
/// # Safety
/// `data` points to `len` bytes that live and stay as they are while `'a` lasts, or is NULL.
pub(crate) unsafe fn bytes<'a>(data: *const c_char, len: usize, name: &str) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(invalid(format!("{name} is NULL, and its length is {len}")));
    }
    if len > isize::MAX as usize {
        return Err(invalid(format!("the length of {name} is {len}: more than there is memory")));
    }
    // SAFETY: not NULL, the length is possible, and the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// The text that a pointer and a length say.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn text<'a>(data: *const c_char, len: usize, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise is the same.
    let bytes = unsafe { bytes(data, len, name)? };
    std::str::from_utf8(bytes)
        .map_err(|error| invalid(format!("{name} is not UTF-8 at byte {} of {len}", error.valid_up_to())))
}

/// The JSON that a pointer and a length say.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn json<'a>(data: *const c_char, len: usize, name: &str) -> Result<RawJson<'a>> {
    // SAFETY: the caller's promise is the same.
    let text = unsafe { text(data, len, name)? };
    if is_plain_string(text) {
        return Ok(RawJson::trusted(text));
    }
    RawJson::new(text).map_err(|error| {
        let hint = if text.is_empty() { "; for nothing pass null, four letters" } else { "" };
        invalid(format!("{name} is not one JSON value: {error}{hint}"))
    })
}

/// Whether text is a JSON string without escapes, which is the commonest payload and the quickest to check.
fn is_plain_string(text: &str) -> bool {
    match text.as_bytes() {
        // To the end in any case: that the compiler makes wide, an early exit it does not.
        [b'"', inner @ .., b'"'] => {
            inner.iter().fold(true, |plain, byte| plain & (*byte >= 0x20) & (*byte != b'"') & (*byte != b'\\'))
        }
        _ => false,
    }
}

/// A place to write an output to.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL, or may be written to until the function returns. It may be uninitialised.
    pub(crate) unsafe fn new(place: *mut T, name: &str) -> Result<Self> {
        if place.is_null() {
            return Err(invalid(format!("{name} is NULL: there is nowhere to put the result")));
        }
        Ok(Out(place))
    }

    /// Like [`new`](Self::new), for outputs that nobody need want.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn optional(place: *mut T) -> Option<Self> {
        (!place.is_null()).then_some(Out(place))
    }

    pub(crate) fn write(self, value: T) {
        // SAFETY: what was promised when it was made; the borrow checker keeps it within the function.
        unsafe { self.0.write(value) }
    }
}

impl<T> Out<T> {
    /// Like [`write`](Self::write), where a result is wanted.
    pub(crate) fn put(self, value: T) -> Result<()> {
        self.write(value);
        Ok(())
    }
}

/// A struct of this interface that begins with its size, and of which all-zero bytes are a value: "the default".
///
/// # Safety
/// It is `repr(C)`, its first field is `size: usize`, and it is valid when all bytes are zero.
pub(crate) unsafe trait Sized_: Copy {
    const NAME: &'static str;
}

/// Reads such a struct as far as the caller's header knows it; NULL gives all defaults. What an older header does not
/// have is zero, and what a newer one has must be, because this library can't do it.
///
/// # Safety
/// `from` is NULL, or points to a struct as large as its first field says.
pub(crate) unsafe fn read_struct<T: Sized_>(from: *const T) -> Result<T> {
    // SAFETY: all zero is a value, says the trait.
    let mut value: T = unsafe { std::mem::zeroed() };
    if from.is_null() {
        return Ok(value);
    }
    // SAFETY: the first field is the size, says the trait, and `from` points to one.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    // SAFETY: `from` has that many bytes, the caller says, and `value` too; they don't overlap.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
    if size > known {
        // SAFETY: the caller says that there are `size` bytes.
        let rest = unsafe { std::slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
        if rest.iter().any(|byte| *byte != 0) {
            return Err(invalid(format!(
                "{} has {size} bytes and says something beyond the {known} that this library knows: it is older than \
                 your header",
                T::NAME
            )));
        }
    }
    Ok(value)
}

/// Writes as much of such a struct as the caller's header knows, and keeps the size it says.
///
/// # Safety
/// `to` is NULL, or points to a struct as large as its first field says.
pub(crate) unsafe fn write_struct<T: Sized_>(to: *mut T, value: &T, name: &str) -> Result<()> {
    if to.is_null() {
        return Err(invalid(format!("{name} is NULL: there is nowhere to put the result")));
    }
    // SAFETY: the first field is the size, says the trait, and `to` points to one.
    let size = unsafe { to.cast::<usize>().read_unaligned() };
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    let head = size_of::<usize>();
    // SAFETY: both have that many bytes, and don't overlap; the size is left as it is.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(value).cast::<u8>().add(head),
            to.cast::<u8>().add(head),
            known - head,
        );
    }
    Ok(())
}

fn check_size<T: Sized_>(size: usize) -> Result<()> {
    // Beyond a page it is no size but whatever lay there.
    if !(size_of::<usize>()..=4096).contains(&size) {
        return Err(invalid(format!(
            "the first field of {name} is {size}, and must be sizeof({name}): begin with the INIT macro",
            name = T::NAME
        )));
    }
    Ok(())
}

/// Milliseconds; `None` for the default, which any negative number is.
pub(crate) fn timeout(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}
