//! Linking this device with one that is signed in: a code and its picture to be entered or scanned there, or a code that is sent to it.

use std::cell::RefCell;
use std::rc::Rc;

use gloo::timers::callback::Interval;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::cpm::device::LinkOffer;
use wasm_core::cpm::history::Session;
use wasm_core::{Text, Time};

use crate::shell::clock;
use crate::shell::devices::{self, Trouble};
use crate::shell::dom;
use crate::texts::Phrase;
use crate::ui::button::{Weight, button, submit_button};
use crate::ui::spinner::spinner;

/// How often a new code is fetched by itself: for half an hour.
const RENEWALS: u8 = 15;
/// The light margin around a QR symbol, in modules.
const MARGIN: u32 = 4;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// What this device calls itself.
    pub device: AttrValue,
    pub onsignedin: Callback<Session>,
    pub onback: Callback<()>,
}

#[derive(Debug)]
pub enum Msg {
    Ask,
    Offered(Result<LinkOffer, Trouble>),
    /// The request with this identifier has come to nothing.
    Over(Text, Trouble),
    Second,
    Typed(String),
    Submit,
    Submitted(Result<(), Trouble>),
}

#[derive(Debug)]
pub struct LinkDevice {
    offer: Option<LinkOffer>,
    until: Time,
    /// The identifier of the request that is waited for, shared with who waits.
    current: Rc<RefCell<Text>>,
    renewals: u8,
    /// Whether the server could not be asked for the answer, and is to be asked again.
    again: bool,
    trouble: Option<Trouble>,
    /// Until when a code that was sent holds.
    sent: Option<Time>,
    /// An address, then a code.
    words: String,
    _beat: Interval,
}

impl Component for LinkDevice {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let link = ctx.link().clone();
        link.send_message(Msg::Ask);
        LinkDevice {
            offer: None,
            until: Time(0),
            current: Rc::default(),
            renewals: 0,
            again: false,
            trouble: None,
            sent: None,
            words: String::new(),
            _beat: Interval::new(1000, move || link.send_message(Msg::Second)),
        }
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let link = ctx.link().clone();
        match msg {
            Msg::Ask => {
                let name = ctx.props().device.clone();
                (self.offer, self.trouble, self.sent) = (None, None, None);
                self.current.take();
                self.words.clear();
                spawn_local(async move { link.send_message(Msg::Offered(devices::offer(&name).await)) });
            }
            Msg::Offered(Ok(offer)) => {
                self.until = Time(clock::now().0 + offer.seconds * 1000);
                self.current.replace(offer.id.clone());
                self.offer = Some(offer);
                self.wait(ctx);
            }
            Msg::Offered(Err(trouble)) => self.trouble = Some(trouble),
            Msg::Over(id, trouble) if *self.current.borrow() == id => {
                match trouble {
                    // Its time was over, or the server has started anew.
                    Trouble::Gone if self.renew() => link.send_message(Msg::Ask),
                    Trouble::Failed | Trouble::TooOften => self.again = true,
                    Trouble::Gone | Trouble::Refused | Trouble::TooMany => self.fail(trouble),
                }
            }
            Msg::Over(..) => return false,
            Msg::Second => {
                if std::mem::take(&mut self.again) {
                    self.wait(ctx);
                }
                let now = clock::now();
                let holds = self.until.max(self.sent.unwrap_or_default());
                if self.offer.is_some() && holds <= now {
                    if self.renew() { link.send_message(Msg::Ask) } else { self.fail(Trouble::Gone) }
                }
                return self.offer.is_some();
            }
            Msg::Typed(words) => self.words = words,
            Msg::Submit => {
                let (id, words) = (self.current.borrow().clone(), &self.words);
                let deed = if self.sent.is_some() { devices::prove(&id, words) } else { devices::send_code(&id, words.trim()) };
                spawn_local(async move { link.send_message(Msg::Submitted(devices::act(deed).await)) });
            }
            Msg::Submitted(Ok(())) => {
                self.trouble = None;
                if self.sent.is_none() {
                    self.sent = self.offer.as_ref().map(|offer| Time(clock::now().0 + offer.seconds * 1000));
                    self.words.clear();
                }
            }
            Msg::Submitted(Err(trouble)) => self.trouble = Some(trouble),
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let again = ctx.link().callback(|()| Msg::Ask);
        html! {
            <div class="link">
                <h2>{ Phrase::LinkTitle.say() }</h2>
                {
                    match &self.offer {
                        Some(offer) => self.offered(ctx, offer),
                        None if self.trouble.is_none() => spinner(Some(Phrase::Loading.say())),
                        None => button(Phrase::LinkAgain.say(), Weight::Primary, &again),
                    }
                }
                <p role="alert" class="field__wrong">
                    { self.trouble.map(|trouble| match trouble {
                        Trouble::Refused if self.sent.is_some() => Phrase::LinkWrongCode,
                        Trouble::Refused => Phrase::LinkRefusedThere,
                        Trouble::Gone => Phrase::LinkOver,
                        Trouble::TooMany => Phrase::TooManyDevices,
                        Trouble::TooOften => Phrase::SignInTooOften,
                        Trouble::Failed => Phrase::SignInUnreachable,
                    }.say()) }
                </p>
                { button(Phrase::UsePassword.say(), Weight::Plain, &ctx.props().onback) }
            </div>
        }
    }

    fn destroy(&mut self, _ctx: &Context<Self>) {
        self.current.take();
    }
}

impl LinkDevice {
    fn wait(&self, ctx: &Context<Self>) {
        let (current, onsignedin) = (Rc::clone(&self.current), ctx.props().onsignedin.clone());
        let id = self.current.borrow().clone();
        spawn_local(wait(id, current, onsignedin, ctx.link().clone()));
    }

    fn renew(&mut self) -> bool {
        self.renewals += 1;
        self.renewals <= RENEWALS
    }

    fn fail(&mut self, trouble: Trouble) {
        (self.offer, self.sent, self.renewals) = (None, None, 0);
        self.trouble = Some(trouble);
    }

    fn offered(&self, ctx: &Context<Self>, offer: &LinkOffer) -> Html {
        let left = self.until.since(clock::now()).as_secs();
        let code = format!("{} {}", offer.code.get(..4).unwrap_or_default(), offer.code.get(4..).unwrap_or_default());
        let side = offer.width + 2 * MARGIN;
        html! {
            <>
                <p>{ Phrase::LinkHint.say() }</p>
                if left > 0 {
                    if offer.width > 0 {
                        <svg class="link__picture" viewBox={format!("-{MARGIN} -{MARGIN} {side} {side}")} role="img" aria-label={Phrase::LinkPicture.say()}>
                            <path d={offer.path.clone()} />
                        </svg>
                    }
                    <p class="link__code" role="status" aria-label={Phrase::LinkCode.say()}>{ code }</p>
                    <p class="field__hint">{ Phrase::LinkRenewed(&format!("{}:{:02}", left / 60, left % 60)).say() }</p>
                }
                <details open={self.sent.is_some()}>
                    <summary>{ Phrase::LinkSend.say() }</summary>
                    { self.form(ctx) }
                </details>
            </>
        }
    }

    fn form(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let onsubmit = link.callback(|event: SubmitEvent| {
            event.prevent_default();
            Msg::Submit
        });
        let sent = self.sent.is_some();
        let (label, hint, go) = match sent {
            false => (Phrase::AddressLabel, Phrase::LinkSendHint, Phrase::LinkSendGo),
            true => (Phrase::LinkSentLabel, Phrase::LinkSentHint, Phrase::SignIn),
        };
        html! {
            <form class="field" {onsubmit} novalidate=true>
                <label class="field__label" for="link-words">{ label.say() }</label>
                <div class="field__box">
                    <input id="link-words" key={sent.to_string()} autocomplete={if sent { "one-time-code" } else { "username" }} autocapitalize="none" spellcheck="false"
                        inputmode={sent.then_some("numeric")} value={self.words.clone()} aria-describedby="link-hint"
                        oninput={link.callback(|event: InputEvent| Msg::Typed(dom::value(&event)))} />
                </div>
                <p id="link-hint" class="field__hint" aria-live="polite">{ hint.say() }</p>
                { submit_button(go.say()) }
            </form>
        }
    }
}

/// Waits for the answer to a request, as long as it is the one that is shown.
async fn wait(id: Text, current: Rc<RefCell<Text>>, onsignedin: Callback<Session>, link: html::Scope<LinkDevice>) {
    while *current.borrow() == id {
        match devices::wait(&id).await {
            Ok(Some(session)) => return onsignedin.emit(session),
            Ok(None) => {}
            Err(trouble) => return link.send_message(Msg::Over(id, trouble)),
        }
    }
}
