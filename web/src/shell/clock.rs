//! Time of day: a wall clock that never runs backwards, and dates in the reader's own words and time zone.

use std::cell::{Cell, OnceCell};

use js_sys::{Array, Date, Function, Intl, Object, Reflect};
use wasm_bindgen::JsValue;
use wasm_core::Time;

use crate::texts::{self, Phrase};

thread_local! {
    static LATEST: Cell<u64> = const { Cell::new(0) };
    static FORMATS: OnceCell<Formats> = const { OnceCell::new() };
}

/// Now. When the system's clock is set back, time stands still until it has caught up.
pub fn now() -> Time {
    let now = LATEST.get().max(Date::now() as u64);
    LATEST.set(now);
    Time(now)
}

/// The minutes by which local time is ahead of UTC.
pub fn offset() -> i16 {
    -Date::new_0().get_timezone_offset() as i16
}

struct Formats {
    clock: Function,
    weekday: Function,
    day: Function,
    day_and_year: Function,
    numbers: Function,
    full: Function,
}

impl Formats {
    fn new() -> Formats {
        let format = |options: &[(&str, &str)]| {
            let bag = Object::new();
            for (key, value) in options {
                // Setting a property of a fresh plain object cannot fail.
                let _ = Reflect::set(&bag, &JsValue::from_str(key), &JsValue::from_str(value));
            }
            Intl::DateTimeFormat::new(&locales(), &bag).format()
        };
        Formats {
            clock: format(&[("hour", "2-digit"), ("minute", "2-digit")]),
            weekday: format(&[("weekday", "long")]),
            day: format(&[("day", "numeric"), ("month", "long"), ("weekday", "long")]),
            day_and_year: format(&[("day", "numeric"), ("month", "long"), ("year", "numeric")]),
            numbers: format(&[("day", "2-digit"), ("month", "2-digit"), ("year", "2-digit")]),
            full: format(&[("dateStyle", "full"), ("timeStyle", "short")]),
        }
    }
}

/// The reader's own language list, so that 24 hours and the order of day and month are theirs, if it is the app's language too.
fn locales() -> Array {
    let preferred = super::dom::languages();
    let spoken = texts::language().tag();
    match preferred.into_iter().find(|tag| tag.split('-').next() == Some(spoken)) {
        Some(tag) => Array::of1(&JsValue::from_str(&tag)),
        None => Array::of1(&JsValue::from_str(spoken)),
    }
}

fn write(choose: impl Fn(&Formats) -> &Function, time: Time) -> String {
    FORMATS.with(|formats| {
        let format = choose(formats.get_or_init(Formats::new));
        let words = format.call1(&JsValue::UNDEFINED, &date(time)).ok().and_then(|words| words.as_string());
        words.unwrap_or_else(|| time.to_rfc3339())
    })
}

fn date(time: Time) -> Date {
    Date::new(&JsValue::from_f64(time.0.min(253_402_300_799_999) as f64))
}

/// The local day that a time lies in, as a number that grows by one each day.
pub fn day(time: Time) -> i64 {
    let offset = date(time).get_timezone_offset() as i64 * 60_000;
    (time.0.min(i64::MAX as u64) as i64 - offset).div_euclid(86_400_000)
}

/// `14:05`.
pub fn time_of_day(time: Time) -> String {
    write(|formats| &formats.clock, time)
}

/// Everything about a moment, for a tooltip.
pub fn in_full(time: Time) -> String {
    write(|formats| &formats.full, time)
}

/// A day as a separator writes it: today, yesterday, or the date.
pub fn day_in_words(time: Time, now: Time) -> String {
    match day(now) - day(time) {
        0 => Phrase::Today.words().into_owned(),
        1 => Phrase::Yesterday.words().into_owned(),
        2..=180 => write(|formats| &formats.day, time),
        _ => write(|formats| &formats.day_and_year, time),
    }
}

/// When the last message came, short: the time today, the weekday within a week, else the date.
pub fn ago(time: Time, now: Time) -> String {
    match day(now) - day(time) {
        0 => time_of_day(time),
        1 => Phrase::Yesterday.words().into_owned(),
        2..=6 => write(|formats| &formats.weekday, time),
        _ => write(|formats| &formats.numbers, time),
    }
}
