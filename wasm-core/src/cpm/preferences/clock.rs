//! Times of day as documents and fields of a page have them: hours and minutes, each of two digits.

/// The minute of the day.
pub fn parse(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u16>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// The time of a minute of the day.
pub fn print(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}
