//! Chance from the browser's cryptographic source.

use wasm_core::Entropy;

use super::dom;

/// A seed that nobody can guess.
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    // Every browser that runs WebAssembly has this source and never fails to give 32 bytes.
    dom::window()
        .crypto()
        .and_then(|crypto| crypto.get_random_values_with_u8_array(&mut seed))
        .expect("the browser has a source of chance");
    seed
}

/// A random identifier as text.
pub fn uuid() -> String {
    Entropy::new(seed()).uuid()
}
