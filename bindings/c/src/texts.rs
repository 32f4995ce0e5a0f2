//! Texts that the library made for you.

use realtime_pubsub_bindings::handles::Named;

use crate::HANDLES;
use crate::boundary::{Result, boundary};
use crate::errors::rps_error;
use crate::handles::rps_text;
use crate::input::{Out, rps_str};

struct Text(String);

impl Named for Text {
    const NAME: &'static str = "text";
}

pub(crate) fn give(text: String, out: Out<rps_text>) -> Result<()> {
    out.write(HANDLES.insert(Text(text))?);
    Ok(())
}

/// Shows a text. It ends with no NUL; it is valid until it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_text_get(text: rps_text, view: *mut rps_str, error: *mut rps_error) -> i32 {
    boundary(error, || {
        // SAFETY: what the header asks of outputs.
        let out = unsafe { Out::new(view, "view")? };
        out.write(rps_str::view(&HANDLES.get::<Text>(text)?.0));
        Ok(())
    })
}

/// Frees a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rps_text_free(text: rps_text, error: *mut rps_error) -> i32 {
    boundary(error, || HANDLES.remove::<Text>(text).map(drop))
}
