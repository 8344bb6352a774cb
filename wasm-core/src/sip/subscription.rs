//! Event notification [RFC6665]: a [`Subscriber`] that keeps a subscription alive, and a [`Notifier`] that serves one.
//!
//! Both keep the dialog, the expiry and the order of requests; the package and its documents are their owner's business. Requests go out
//! in client transactions (the owner adds the Via), and come in from server transactions, which the owner answers.
//!
//! | timer | end | value | what happens |
//! |---|---|---|---|
//! | N | subscriber | 64 T1 = 32 s after SUBSCRIBE [RFC6665 §4.1.2] | without a NOTIFY the attempt has failed |
//! | refresh | subscriber | 80-90 % of the interval | SUBSCRIBE |
//! | wait | subscriber | `retry-after`, Retry-After or back-off | SUBSCRIBE anew |
//! | expiry | notifier | the interval granted | the last NOTIFY, `terminated;reason=timeout` |

mod notifier;
mod subscriber;
#[cfg(test)]
mod tests;

pub use self::notifier::{Answered, Intervals, Notifier};
pub use self::subscriber::{Ending, Input, Output, Subscriber, Wanted};
