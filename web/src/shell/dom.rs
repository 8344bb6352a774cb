//! The page: focus, text fields, dialogs, clipboard.

use gloo::events::EventListener;
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Document, Element, HtmlDialogElement, HtmlElement, HtmlTextAreaElement, Window};
use yew::prelude::*;

/// The window that the app runs in.
pub fn window() -> Window {
    gloo::utils::window()
}

/// Its document.
pub fn document() -> Document {
    gloo::utils::document()
}

/// The languages that the reader prefers, best first.
pub fn languages() -> Vec<String> {
    window().navigator().languages().iter().filter_map(|tag| tag.as_string()).collect()
}

/// The title of the tab.
pub fn set_title(title: &str) {
    document().set_title(title);
}

/// Marks the root element: language, chosen appearance.
pub fn set_root(attribute: &str, value: Option<&str>) {
    if let Some(root) = document().document_element() {
        // The names are ours and valid.
        let _ = match value {
            Some(value) => root.set_attribute(attribute, value),
            None => root.remove_attribute(attribute),
        };
    }
}

/// The colour that the browser paints its own frame with, when a choice overrides the system's.
pub fn set_theme_colour(colour: Option<&str>) {
    let Ok(metas) = document().query_selector_all("meta[name=theme-color]") else { return };
    for meta in (0..metas.length()).filter_map(|index| metas.get(index)?.dyn_into::<Element>().ok()) {
        let own = if meta.get_attribute("media").is_some_and(|media| media.contains("dark")) { "#14161c" } else { "#ffffff" };
        let _ = meta.set_attribute("content", colour.unwrap_or(own));
    }
}

/// What stands in the field that an event is about.
pub fn value<E: AsRef<web_sys::Event>>(event: &E) -> String {
    let target = event.as_ref().target();
    target.map(|target| field_value(target.unchecked_ref())).unwrap_or_default()
}

fn field_value(target: &JsValue) -> String {
    Reflect::get(target, &JsValue::from_str("value")).ok().and_then(|value| value.as_string()).unwrap_or_default()
}

/// Puts text into a text area without an event.
pub fn set_text(field: &NodeRef, text: &str) {
    if let Some(field) = field.cast::<HtmlTextAreaElement>()
        && field.value() != text
    {
        field.set_value(text);
    }
}

/// What a field or button is called, and what it says.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub value: String,
    pub checked: bool,
}

impl Field {
    fn of(target: &JsValue) -> Field {
        let name = Reflect::get(target, &JsValue::from_str("name")).ok().and_then(|name| name.as_string()).unwrap_or_default();
        let checked = Reflect::get(target, &JsValue::from_str("checked")).is_ok_and(|checked| checked.is_truthy());
        Field { name, value: field_value(target), checked }
    }
}

/// The field that an event is about.
pub fn field_of(event: &Event) -> Option<Field> {
    event.target().map(|target| Field::of(&target))
}

/// The button that was pressed, if it was one.
pub fn button_of(event: &MouseEvent) -> Option<Field> {
    let target: Element = event.target()?.dyn_into().ok()?;
    target.closest("button").ok()?.map(|button| Field::of(&button))
}

/// What stands in a field.
pub fn text(field: &NodeRef) -> String {
    field.get().map(|field| field_value(&field)).unwrap_or_default()
}

/// Puts `insert` in place of the selection and the cursor behind it; the text as it stands then.
pub fn insert_text(field: &NodeRef, insert: &str) -> String {
    let Some(field) = field.cast::<HtmlTextAreaElement>() else { return String::new() };
    let text: Vec<u16> = field.value().encode_utf16().collect();
    let end = |at: Result<Option<u32>, JsValue>| at.ok().flatten().map_or(text.len(), |at| (at as usize).min(text.len()));
    let (from, to) = (end(field.selection_start()), end(field.selection_end()));
    let insert: Vec<u16> = insert.encode_utf16().collect();
    let whole = [&text[..from], &insert, &text[to.max(from)..]].concat();
    let whole = String::from_utf16_lossy(&whole);
    field.set_value(&whole);
    let cursor = (from + insert.len()) as u32;
    let _ = field.set_selection_range(cursor, cursor);
    whole
}

/// Makes a text area as tall as its text; the style sheet holds the most and the least.
pub fn fit_height(field: &NodeRef) {
    let Some(field) = field.cast::<HtmlTextAreaElement>() else { return };
    let style = HtmlElement::style(&field);
    let _ = style.set_property("height", "auto");
    let _ = style.set_property("height", &format!("{}px", field.scroll_height() + 1));
}

/// Sets the height of an element; a style set from code is no inline style to the Content-Security-Policy.
pub fn set_height(node: &NodeRef, height: f64) {
    if let Some(element) = node.cast::<HtmlElement>() {
        let _ = element.style().set_property("height", &format!("{}px", height.round() as i64));
    }
}

/// Moves the focus into an element, without scrolling to it.
pub fn focus(node: &NodeRef) {
    if let Some(element) = node.cast::<HtmlElement>() {
        let _ = element.focus();
    }
}

/// Which way an arrow key leads in a list, if it is one.
pub fn arrow(event: &KeyboardEvent) -> Option<i32> {
    match event.key().as_str() {
        "ArrowDown" => Some(1),
        "ArrowUp" => Some(-1),
        _ => None,
    }
}

/// Moves the focus by `step` among the elements inside `within` that match; from outside of them, to the first or the last.
/// True when there was one to move to.
pub fn move_focus(within: &NodeRef, matching: &str, step: i32) -> bool {
    let Some(found) = within.cast::<Element>().and_then(|element| element.query_selector_all(matching).ok()) else { return false };
    let all: Vec<HtmlElement> = (0..found.length()).filter_map(|index| found.get(index)?.dyn_into().ok()).collect();
    let active = document().active_element();
    let at = all.iter().position(|element| active.as_ref().is_some_and(|active| active.is_same_node(Some(element))));
    let next = match at {
        Some(at) => at as i32 + step,
        None if step > 0 => 0,
        None => all.len() as i32 - 1,
    };
    match usize::try_from(next).ok().and_then(|next| all.get(next)) {
        Some(element) => element.focus().is_ok(),
        None => false,
    }
}

/// Whether the focus is in a field that text is typed into.
pub fn is_typing_somewhere() -> bool {
    document().active_element().is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

/// Whether the main pointer is a finger: then Enter makes a new line, and fields are not focused unasked (a keyboard would come up).
pub fn is_touch() -> bool {
    window().match_media("(pointer: coarse)").ok().flatten().is_some_and(|query| query.matches())
}

/// Whether there is room for one pane only.
pub fn is_narrow() -> bool {
    window().match_media("(max-width: 47.99rem)").ok().flatten().is_some_and(|query| query.matches())
}

/// Opens the dialog element as a modal one.
pub fn show_modal(node: &NodeRef) {
    if let Some(dialog) = node.cast::<HtmlDialogElement>()
        && !dialog.open()
    {
        // Fails only for an element outside of the page; then there is nothing to show.
        let _ = dialog.show_modal();
    }
}

/// Closes it, which gives the focus back to where it was.
pub fn close_modal(node: &NodeRef) {
    if let Some(dialog) = node.cast::<HtmlDialogElement>() {
        dialog.close();
    }
}

/// Whether a click fell on the dialog's backdrop: on the element itself, which its frame covers.
pub fn is_backdrop(node: &NodeRef, event: &MouseEvent) -> bool {
    let dialog = node.cast::<Element>();
    event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .zip(dialog)
        .is_some_and(|(target, dialog)| target.is_same_node(Some(&dialog)))
}

/// Whether a node of the page lies in the element.
pub fn contains(node: &NodeRef, target: Option<web_sys::EventTarget>) -> bool {
    let target = target.and_then(|target| target.dyn_into::<web_sys::Node>().ok());
    node.cast::<Element>().is_some_and(|element| element.contains(target.as_ref()))
}

/// Puts text on the clipboard; false when the browser does not allow it.
pub async fn copy(text: String) -> bool {
    JsFuture::from(window().navigator().clipboard().write_text(&text)).await.is_ok()
}

/// Hears every key pressed in the window, until it is dropped.
pub fn on_key(mut heard: impl FnMut(&KeyboardEvent) + 'static) -> EventListener {
    let options = gloo::events::EventListenerOptions::enable_prevent_default();
    EventListener::new_with_options(&window(), "keydown", options, move |event| {
        if let Some(event) = event.dyn_ref::<KeyboardEvent>() {
            heard(event);
        }
    })
}

/// Hears every press of a pointer in the page, until it is dropped.
pub fn on_press(mut heard: impl FnMut(Option<web_sys::EventTarget>) + 'static) -> EventListener {
    EventListener::new(&document(), "pointerdown", move |event| heard(event.target()))
}

/// Loads the page anew.
pub fn reload() {
    let _ = window().location().reload();
}
