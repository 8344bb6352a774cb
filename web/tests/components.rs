//! Components in a real page: what a person does to them comes out as callbacks.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};
use web::components::bubble::{Bubble, Deed, Props as BubbleProps};
use web::components::composer::{Composer, Props as ComposerProps};
use web::texts::Phrase;
use web::ui::switch::switch;
use web_sys::{Element, HtmlElement, HtmlTextAreaElement, KeyboardEventInit};
use yew::platform::time::sleep;
use yew::prelude::*;

use wasm_core::Time;
use wasm_core::client::view::{Bubble as Message, Failure, Tick};
use wasm_core::cpm::ids::MessageId;

wasm_bindgen_test_configure!(run_in_browser);

/// What came out, in order.
struct Heard<T>(Rc<RefCell<Vec<T>>>);

impl<T: 'static> Heard<T> {
    fn new() -> Self {
        Heard(Rc::default())
    }

    fn callback(&self) -> Callback<T> {
        let heard = self.0.clone();
        Callback::from(move |what| heard.borrow_mut().push(what))
    }

    fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// A place of its own in the page.
fn stage() -> Element {
    let document = gloo::utils::document();
    let stage = document.create_element("div").unwrap();
    document.body().unwrap().append_child(&stage).unwrap();
    stage
}

fn find<T: JsCast>(stage: &Element, selector: &str) -> T {
    stage.query_selector(selector).unwrap().unwrap_or_else(|| panic!("no {selector} in {}", stage.inner_html())).unchecked_into()
}

/// Lets Yew draw.
async fn settle() {
    sleep(std::time::Duration::from_millis(20)).await;
}

fn press(target: &Element, key: &str, shift: bool, composing: bool) {
    let init = KeyboardEventInit::new();
    init.set_key(key);
    init.set_bubbles(true);
    init.set_cancelable(true);
    init.set_shift_key(shift);
    init.set_is_composing(composing);
    target.dispatch_event(&KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init).unwrap()).unwrap();
}

fn write(field: &HtmlTextAreaElement, text: &str) {
    field.set_value(text);
    let init = web_sys::InputEventInit::new();
    init.set_bubbles(true);
    field.dispatch_event(&InputEvent::new_with_event_init_dict("input", &init).unwrap()).unwrap();
}

struct Composing {
    stage: Element,
    sent: Heard<String>,
    typing: Heard<bool>,
    drafts: Heard<String>,
}

async fn composer(draft: &str) -> Composing {
    let composing = Composing { stage: stage(), sent: Heard::new(), typing: Heard::new(), drafts: Heard::new() };
    let props = ComposerProps {
        peer: AttrValue::from("Bob"),
        draft: AttrValue::from(draft.to_owned()),
        reply: None,
        recent_emoji: vec!["😀".to_owned()],
        focus: 0,
        onsend: composing.sent.callback(),
        ontyping: composing.typing.callback(),
        ondraft: composing.drafts.callback(),
        onemoji: Callback::noop(),
        oncancelreply: Callback::noop(),
    };
    yew::Renderer::<Composer>::with_root_and_props(composing.stage.clone(), props).render();
    settle().await;
    composing
}

#[test]
async fn enter_sends_and_empties_the_field() {
    let it = composer("").await;
    let field: HtmlTextAreaElement = find(&it.stage, "textarea");
    let send: HtmlElement = find(&it.stage, "button[type=submit]");
    assert_eq!(field.get_attribute("aria-label").as_deref(), Some("Message"));
    assert_eq!(send.get_attribute("aria-label").as_deref(), Some("Send"));
    assert!(send.has_attribute("disabled"));
    write(&field, "  hello\nthere ");
    settle().await;
    assert!(!send.has_attribute("disabled"));
    press(&field, "Enter", true, false);
    press(&field, "Enter", false, true);
    settle().await;
    assert!(it.sent.take().is_empty(), "neither a new line nor an input method's Enter sends");
    press(&field, "Enter", false, false);
    settle().await;
    assert_eq!(it.sent.take(), ["hello\nthere"]);
    assert_eq!(field.value(), "");
    assert_eq!(it.typing.take(), [true]);
    assert!(it.drafts.take().is_empty(), "what was sent is no draft");
}

#[test]
async fn the_button_sends_too_but_nothing_empty() {
    let it = composer("left from yesterday").await;
    let field: HtmlTextAreaElement = find(&it.stage, "textarea");
    assert_eq!(field.value(), "left from yesterday");
    find::<HtmlElement>(&it.stage, "button[type=submit]").click();
    settle().await;
    assert_eq!(it.sent.take(), ["left from yesterday"]);
    write(&field, "   \n ");
    press(&field, "Enter", false, false);
    settle().await;
    assert!(it.sent.take().is_empty());
}

#[test]
async fn a_draft_is_kept_when_typing_rests() {
    let it = composer("").await;
    write(&find(&it.stage, "textarea"), "half a thought");
    sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(it.drafts.take(), ["half a thought"]);
}

#[test]
async fn an_emoji_goes_where_the_cursor_is() {
    let it = composer("ab").await;
    let field: HtmlTextAreaElement = find(&it.stage, "textarea");
    field.set_selection_range(1, 1).unwrap();
    find::<HtmlElement>(&it.stage, &format!("button[aria-label='{}']", Phrase::ChooseEmoji.words())).click();
    settle().await;
    find::<HtmlElement>(&it.stage, "button[aria-label='😀']").click();
    settle().await;
    assert_eq!(field.value(), "a😀b");
}

async fn bubble(message: Message) -> (Element, Heard<Deed>) {
    let (stage, deeds) = (stage(), Heard::new());
    let props = BubbleProps { message, peer: AttrValue::from("Bob"), first: true, last: true, active: true, ondeed: deeds.callback() };
    yew::Renderer::<Bubble>::with_root_and_props(stage.clone(), props).render();
    settle().await;
    (stage, deeds)
}

fn message(text: &str, tick: Option<Tick>, failure: Option<Failure>) -> Message {
    let id = MessageId::parse(&"m1".into()).unwrap();
    Message { id, outgoing: tick.is_some(), text: text.into(), at: Time(1_795_175_000_000), tick, reply: None, failure, flagged: false }
}

#[test]
async fn text_is_never_markup_and_links_are_safe() {
    let (stage, _) = bubble(message("<img src=x onerror=alert(1)> javascript:alert(1) https://example.org/?a=<b>", None, None)).await;
    assert!(stage.query_selector("img").unwrap().is_none());
    let link: HtmlElement = find(&stage, "a");
    assert_eq!(link.get_attribute("href").as_deref(), Some("https://example.org/?a="));
    assert_eq!(link.get_attribute("target").as_deref(), Some("_blank"));
    assert!(link.get_attribute("rel").unwrap().contains("noopener noreferrer"));
    assert_eq!(stage.query_selector_all("a").unwrap().length(), 1);
    let words: HtmlElement = find(&stage, ".bubble__words");
    assert_eq!(words.text_content().unwrap(), "<img src=x onerror=alert(1)> javascript:alert(1) https://example.org/?a=<b>");
}

#[test]
async fn every_tick_has_a_name() {
    let all = [
        (Tick::Sending, "Sending"),
        (Tick::Sent, "Sent"),
        (Tick::Delivered, "Delivered"),
        (Tick::Read, "Read"),
        (Tick::Failed, "Not sent"),
    ];
    for (tick, name) in all {
        let (stage, _) = bubble(message("hello", Some(tick), None)).await;
        assert_eq!(find::<Element>(&stage, "[role=img]").get_attribute("aria-label").as_deref(), Some(name));
    }
}

#[test]
async fn a_failed_message_says_why_and_can_be_sent_again() {
    let (stage, deeds) = bubble(message("hello", Some(Tick::Failed), Some(Failure::Unknown))).await;
    assert!(stage.text_content().unwrap().contains("Nobody has this address."));
    find::<HtmlElement>(&stage, ".bubble__failure button").click();
    settle().await;
    assert!(matches!(deeds.take().as_slice(), [Deed::Retry(id)] if id.as_str() == "m1"));
    let (stage, _) = bubble(message("hello", Some(Tick::Failed), Some(Failure::TooLong))).await;
    assert!(!stage.text_content().unwrap().contains(&*Phrase::Retry.words()));
}

#[derive(Properties, PartialEq)]
struct SoundProps {
    onchange: Callback<bool>,
}

#[component]
fn Sound(props: &SoundProps) -> Html {
    switch(AttrValue::from("Sound"), None, false, false, &props.onchange)
}

#[test]
async fn a_switch_says_what_it_becomes() {
    let (stage, heard) = (stage(), Heard::new());
    yew::Renderer::<Sound>::with_root_and_props(stage.clone(), SoundProps { onchange: heard.callback() }).render();
    settle().await;
    let switch: HtmlElement = find(&stage, "[role=switch]");
    assert_eq!(switch.get_attribute("aria-checked").as_deref(), Some("false"));
    switch.click();
    settle().await;
    assert_eq!(heard.take(), [true]);
}
