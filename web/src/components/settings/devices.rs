//! One's own devices: names, roles, when they were last there; signing them out, and linking a new one by the code that it shows.

use gloo::timers::callback::Interval;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::cpm::device::{Kind, LinkAsk};
use wasm_core::cpm::ids::InstanceId;

use crate::shell::devices::{self, Deed, Known, Trouble};
use crate::shell::{clock, dom};
use crate::texts::Phrase;
use crate::ui::button::{Weight, button, submit_button};

/// How often the list is read again while it is shown.
const LOOK_MS: u32 = 5000;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The code of a device that was scanned, to be looked at first.
    pub code: Option<AttrValue>,
}

/// What the person is about to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Look,
    Rename(InstanceId),
    Dismiss(InstanceId),
    /// Enters a code.
    Enter,
    /// Sees who asks.
    Judge(LinkAsk),
}

#[derive(Debug)]
pub enum Msg {
    Look,
    List(Result<Vec<Known>, Trouble>),
    Stage(Stage),
    Typed(String),
    Find,
    Found(Result<LinkAsk, Trouble>),
    Rename,
    Do(Deed),
    Done(Result<(), Trouble>),
}

#[derive(Debug)]
pub struct Devices {
    /// Nothing before the first answer.
    list: Option<Vec<Known>>,
    stage: Stage,
    words: String,
    trouble: Option<Trouble>,
    field: NodeRef,
    /// Whether the field has just come, and is to have the focus.
    fresh: bool,
    _beat: Interval,
}

impl Component for Devices {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Self>) -> Self {
        let link = ctx.link().clone();
        link.send_message(Msg::Look);
        let mut stage = Stage::Look;
        let mut words = String::new();
        if let Some(code) = &ctx.props().code {
            stage = Stage::Enter;
            words = code.to_string();
            link.send_message(Msg::Find);
        }
        let beat = Interval::new(LOOK_MS, move || link.send_message(Msg::Look));
        Devices { list: None, stage, words, trouble: None, field: NodeRef::default(), fresh: false, _beat: beat }
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let link = ctx.link().clone();
        match msg {
            Msg::Look => spawn_local(async move { link.send_message(Msg::List(devices::list().await)) }),
            Msg::List(Ok(list)) => self.list = Some(list),
            Msg::List(Err(trouble)) => self.trouble = self.list.is_none().then_some(trouble),
            Msg::Stage(stage) => {
                self.words = match &stage {
                    Stage::Rename(instance) => self.known(instance).map(|known| known.name.to_string()).unwrap_or_default(),
                    Stage::Look | Stage::Dismiss(_) | Stage::Enter | Stage::Judge(_) => String::new(),
                };
                self.stage = stage;
                self.fresh = true;
                self.trouble = None;
            }
            Msg::Typed(words) => self.words = words,
            Msg::Find => {
                let code = self.words.clone();
                spawn_local(async move { link.send_message(Msg::Found(devices::find(&code).await)) });
            }
            Msg::Found(Ok(ask)) => {
                self.stage = Stage::Judge(ask);
                self.trouble = None;
            }
            Msg::Found(Err(trouble)) => self.trouble = Some(trouble),
            Msg::Rename => {
                if let Stage::Rename(instance) = &self.stage {
                    link.send_message(Msg::Do(devices::change(instance, "name", &self.words)));
                }
            }
            Msg::Do(deed) => spawn_local(async move { link.send_message(Msg::Done(devices::act(deed).await)) }),
            Msg::Done(result) => {
                self.trouble = result.err();
                if self.trouble.is_none() {
                    self.stage = Stage::Look;
                }
                link.send_message(Msg::Look);
            }
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let to = |stage: Stage| link.callback(move |()| Msg::Stage(stage.clone()));
        html! {
            <section class="devices" aria-labelledby="devices-title">
                <h3 id="devices-title">{ Phrase::Devices.say() }</h3>
                <ul>{ for self.list.iter().flatten().map(|known| self.entry(ctx, known)) }</ul>
                {
                    match &self.stage {
                        Stage::Enter => self.form(ctx, Phrase::LinkCodeLabel, Some(Phrase::LinkCodeHint), Phrase::Next, || Msg::Find),
                        Stage::Judge(ask) => self.judge(ctx, ask),
                        Stage::Look | Stage::Rename(_) | Stage::Dismiss(_) => button(Phrase::LinkDevice.say(), Weight::Plain, &to(Stage::Enter)),
                    }
                }
                <p role="alert" class="field__wrong">
                    { self.trouble.map(|trouble| match (&self.stage, trouble) {
                        (_, Trouble::TooMany) => Phrase::TooManyDevices,
                        (_, Trouble::TooOften) => Phrase::SignInTooOften,
                        (Stage::Enter | Stage::Judge(_), Trouble::Gone) => Phrase::LinkCodeUnknown,
                        _ => Phrase::NotDone,
                    }.say()) }
                </p>
            </section>
        }
    }

    fn rendered(&mut self, _ctx: &Context<Self>, _first: bool) {
        if std::mem::take(&mut self.fresh) {
            dom::focus(&self.field);
        }
    }
}

impl Devices {
    fn known(&self, instance: &InstanceId) -> Option<&Known> {
        self.list.iter().flatten().find(|known| known.instance == *instance)
    }

    fn entry(&self, ctx: &Context<Self>, known: &Known) -> Html {
        let link = ctx.link();
        let (instance, primary) = (&known.instance, known.kind == Kind::Primary);
        let act = |what: Phrase<'static>, message: fn(InstanceId) -> Msg| {
            let onclick = {
                let instance = instance.clone();
                link.callback(move |_: MouseEvent| message(instance.clone()))
            };
            let label = format!("{}: {}", what.words(), known.name);
            html! { <button type="button" aria-label={label} {onclick}>{ what.say() }</button> }
        };
        let seen = match (known.online, known.barred) {
            (_, true) => Phrase::SignedOutDevice.say(),
            (true, false) => Phrase::OnlineNow.say(),
            (false, false) => Phrase::LastSeen(&clock::ago(known.last_seen, clock::now())).say(),
        };
        let dismiss = {
            let deed = devices::dismiss(instance);
            link.callback(move |()| Msg::Do(deed.clone()))
        };
        let below = match &self.stage {
            Stage::Rename(at) if at == instance => self.form(ctx, Phrase::DeviceLabel, None, Phrase::Save, || Msg::Rename),
            Stage::Dismiss(at) if at == instance => html! {
                <>
                    <p>{ Phrase::DismissHint.say() }</p>
                    <div class="dialog__actions">
                        { button(Phrase::Cancel.say(), Weight::Plain, &link.callback(|()| Msg::Stage(Stage::Look))) }
                        { button(Phrase::SignOutThere.say(), Weight::Danger, &dismiss) }
                    </div>
                </>
            },
            _ => html! {
                <div class="devices__acts">
                    { act(Phrase::Rename, |instance| Msg::Stage(Stage::Rename(instance))) }
                    if known.may_be_primary && !primary {
                        { act(Phrase::MakePrimary, |instance| Msg::Do(devices::change(&instance, "kind", "primary"))) }
                    }
                    if known.barred {
                        { act(Phrase::AllowAgain, |instance| Msg::Do(devices::change(&instance, "access", "allowed"))) }
                    } else if !known.this {
                        { act(Phrase::SignOutThere, |instance| Msg::Stage(Stage::Dismiss(instance))) }
                    }
                </div>
            },
        };
        html! {
            <li key={instance.as_str()}>
                <strong>{ &*known.name }</strong>
                if primary { <span class="devices__mark">{ Phrase::PrimaryDevice.say() }</span> }
                if known.this { <span class="devices__mark">{ Phrase::ThisOne.say() }</span> }
                <p>{ &*known.platform }{ " · " }{ seen }</p>
                { below }
            </li>
        }
    }

    /// One field, and what is done with it.
    fn form(
        &self,
        ctx: &Context<Self>,
        label: Phrase<'static>,
        hint: Option<Phrase<'static>>,
        go: Phrase<'static>,
        done: fn() -> Msg,
    ) -> Html {
        let link = ctx.link();
        let onsubmit = link.callback(move |event: SubmitEvent| {
            event.prevent_default();
            done()
        });
        let code = hint.is_some();
        html! {
            <form class="field" {onsubmit} novalidate=true>
                <label class="field__label" for="device-words">{ label.say() }</label>
                <div class="field__box">
                    <input ref={self.field.clone()} id="device-words" autocomplete="off" maxlength="64" inputmode={code.then_some("numeric")}
                        value={self.words.clone()} oninput={link.callback(|event: InputEvent| Msg::Typed(dom::value(&event)))} />
                </div>
                if let Some(hint) = hint { <p class="field__hint">{ hint.say() }</p> }
                <div class="dialog__actions">
                    { button(Phrase::Cancel.say(), Weight::Plain, &link.callback(|()| Msg::Stage(Stage::Look))) }
                    { submit_button(go.say()) }
                </div>
            </form>
        }
    }

    /// Who asks to be linked, from where and since when.
    fn judge(&self, ctx: &Context<Self>, ask: &LinkAsk) -> Html {
        let answer = |approve: bool| {
            let deed = devices::answer(&ask.id, approve);
            ctx.link().callback(move |()| Msg::Do(deed.clone()))
        };
        html! {
            <div class="devices__ask" role="group" aria-labelledby="ask-title">
                <strong id="ask-title">{ Phrase::LinkAskTitle.say() }</strong>
                <p>{ &*ask.device_name }{ " · " }{ &*ask.platform }{ " · " }{ &*ask.remote }{ " · " }{ clock::time_of_day(ask.asked) }</p>
                <p>{ Phrase::LinkAskHint.say() }</p>
                <div class="dialog__actions">
                    { button(Phrase::Refuse.say(), Weight::Plain, &answer(false)) }
                    { button(Phrase::Approve.say(), Weight::Primary, &answer(true)) }
                </div>
            </div>
        }
    }
}
