//! Strings in and out, without more copies than there must be.

use napi::bindgen_prelude::{Env, FromNapiValue, JsValue, TypeName, Uint32ArraySlice, ValidateNapiValue};
use napi::{JsString, Status, ValueType, sys};

/// A JavaScript string that has not been read yet.
pub struct Text {
    env: sys::napi_env,
    value: sys::napi_value,
}

impl TypeName for Text {
    fn type_name() -> &'static str {
        "string"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Text {}

impl FromNapiValue for Text {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        Ok(Text { env, value })
    }
}

/// Texts up to this length are read in one call.
const FIRST: usize = 4096;

impl Text {
    /// Reads it into a buffer that is used again and again.
    pub(crate) fn read<'a>(&self, buffer: &'a mut Vec<u8>) -> napi::Result<&'a str> {
        if buffer.len() < FIRST {
            buffer.resize(FIRST, 0);
        }
        let mut length = self.copy(buffer)?;
        // What did not fit is cut off, at most three bytes before the end, where a character takes more than is left.
        if length + 4 >= buffer.len() {
            let mut whole = 0;
            // SAFETY: a null buffer asks for the length; `value` is a handle of this call's scope.
            let status =
                unsafe { sys::napi_get_value_string_utf8(self.env, self.value, std::ptr::null_mut(), 0, &mut whole) };
            check(status)?;
            buffer.resize(whole + 8, 0);
            length = self.copy(buffer)?;
        }
        let read = buffer.get(..length).unwrap_or_default();
        std::str::from_utf8(read).map_err(|error| napi::Error::new(Status::GenericFailure, error.to_string()))
    }

    fn copy(&self, buffer: &mut [u8]) -> napi::Result<usize> {
        let mut length = 0;
        // SAFETY: the buffer is as long as is said; `value` is a handle of this call's scope.
        let status = unsafe {
            sys::napi_get_value_string_utf8(self.env, self.value, buffer.as_mut_ptr().cast(), buffer.len(), &mut length)
        };
        check(status)?;
        Ok(length)
    }
}

fn check(status: sys::napi_status) -> napi::Result<()> {
    match Status::from(status) {
        Status::Ok => Ok(()),
        status => Err(napi::Error::new(status, "a string was expected")),
    }
}

/// A JavaScript string. Plain ASCII, which most JSON is, needs no decoding.
pub(crate) fn string<'env>(env: &'env Env, text: &[u8]) -> napi::Result<JsString<'env>> {
    if text.is_ascii() {
        return env.create_string_latin1(text);
    }
    let mut value = std::ptr::null_mut();
    // SAFETY: the text is as long as is said, and Node replaces what is not UTF-8.
    let status =
        unsafe { sys::napi_create_string_utf8(env.raw(), text.as_ptr().cast(), text.len() as isize, &mut value) };
    check(status)?;
    // SAFETY: it was just made, in this scope.
    unsafe { JsString::from_napi_value(env.raw(), value) }
}

/// `null`, or a string.
pub(crate) fn string_or_null<'env>(env: &'env Env, text: &[u8]) -> napi::Result<Option<napi::Unknown<'env>>> {
    if text.is_empty() { Ok(None) } else { string(env, text).map(|text| Some(text.to_unknown())) }
}

/// The words that JavaScript gave to be written.
pub(crate) fn words<'a>(array: &'a mut Uint32ArraySlice<'_>) -> &'a mut [u32] {
    // SAFETY: JavaScript can't run, and so can't touch the array, before the call that it was given to returns; it
    // never shares the array with another thread.
    unsafe { array.as_mut() }
}
