//! The browser, and nothing else: the only part of the app that uses `web-sys` and `js-sys`.
//!
//! `device` runs the engine and performs its outputs with the help of the others; pages and components ask the small functions here
//! for what they need of the page (focus, scrolling, the clipboard, dates in words).

pub mod account;
pub mod case;
pub mod clock;
pub mod device;
pub mod devices;
pub mod dom;
pub mod entropy;
pub mod extra;
pub mod http;
pub mod keep;
pub mod links;
pub mod notify;
pub mod preferences;
pub mod push;
pub mod scroll;
pub mod settings;
pub mod socket;
pub mod storage;
pub mod tabs;
pub mod updates;
