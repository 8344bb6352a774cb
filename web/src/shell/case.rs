//! Capital and small letters by the browser's tables, which the download then does without: 3 KB (brotli).

use js_sys::JsString;

/// The text in small letters.
pub fn lower(text: &str) -> String {
    JsString::from(text).to_lower_case().into()
}

/// The text in capitals.
pub fn upper(text: &str) -> String {
    JsString::from(text).to_upper_case().into()
}
