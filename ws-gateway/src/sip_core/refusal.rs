//! A refusal by policy, and the one place where it becomes a response.

use std::ops::ControlFlow;

use wasm_core::Text;
use wasm_core::wire::sip::{Header, HeaderName, Request, Response, Status};

/// Why a request goes no further.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    /// In words, instead of the status's own.
    reason: Option<&'static str>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u32>,
    /// What the status needs to be understood: challenges, Min-Expires, Unsupported.
    headers: Vec<Header>,
}

impl Refusal {
    pub(crate) fn new(status: Status) -> Self {
        Refusal { status, reason: None, retry_after: None, headers: Vec::new() }
    }

    pub(crate) fn because(status: Status, reason: &'static str) -> Self {
        Refusal { reason: Some(reason), ..Refusal::new(status) }
    }

    pub(crate) fn later(status: Status, seconds: u32) -> Self {
        Refusal { retry_after: Some(seconds), ..Refusal::new(status) }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<Text>) -> Self {
        self.headers.push(Header { name, value: value.into() });
        self
    }

    /// Ends a step of the pipeline with this refusal.
    pub(crate) fn stop<T>(self) -> ControlFlow<Refusal, T> {
        ControlFlow::Break(self)
    }

    /// The response to `request` that says all of this; the caller adds the To tag.
    pub(crate) fn respond(self, request: &Request) -> Response {
        let response = Response::to(request, self.status);
        self.onto(response)
    }

    /// A response that was going to say something else, made to say this.
    pub(crate) fn onto(self, mut response: Response) -> Response {
        response.status = self.status;
        response.reason = Text::from(self.reason.unwrap_or_else(|| self.status.reason()));
        if let Some(seconds) = self.retry_after {
            response.headers.push(HeaderName::RetryAfter, seconds.to_string());
        }
        for header in self.headers {
            response.headers.push(header.name, header.value);
        }
        response
    }
}
