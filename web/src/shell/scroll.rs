//! Measuring and moving the scrolled list of messages.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlElement, ResizeObserver, ScrollBehavior, ScrollToOptions};
use yew::prelude::*;

/// Where a scrolled element stands, in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// How much is scrolled out above.
    pub top: f64,
    /// How much is seen.
    pub view: f64,
    /// How much there is.
    pub whole: f64,
    /// How wide it is.
    pub width: f64,
}

impl Place {
    /// How far the lower edge is from the end.
    pub fn below(self) -> f64 {
        (self.whole - self.top - self.view).max(0.0)
    }
}

/// Where the element stands.
pub fn place(node: &NodeRef) -> Place {
    node.cast::<Element>().map_or_else(Place::default, |element| Place {
        top: f64::from(element.scroll_top()),
        view: f64::from(element.client_height()),
        whole: f64::from(element.scroll_height()),
        width: f64::from(element.client_width()),
    })
}

/// Scrolls so that `top` is above; at once.
pub fn set_top(node: &NodeRef, top: f64) {
    if let Some(element) = node.cast::<Element>() {
        element.set_scroll_top(top.round() as i32);
    }
}

/// Scrolls to the end; smoothly if asked for and if the reader does not want less motion.
pub fn to_end(node: &NodeRef, smooth: bool) {
    let Some(element) = node.cast::<Element>() else { return };
    let options = ScrollToOptions::new();
    options.set_top(f64::from(element.scroll_height()));
    let smooth =
        smooth && !super::dom::window().match_media("(prefers-reduced-motion: reduce)").ok().flatten().is_some_and(|query| query.matches());
    options.set_behavior(if smooth { ScrollBehavior::Smooth } else { ScrollBehavior::Instant });
    element.scroll_to_with_scroll_to_options(&options);
}

/// A row as it stands in the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Its upper edge, from the upper edge of the view.
    pub top: f64,
    pub height: f64,
}

/// All rows inside the scrolled element, from top to bottom.
pub fn rows(node: &NodeRef) -> Vec<Row> {
    let Some(element) = node.cast::<Element>() else { return Vec::new() };
    let edge = element.get_bounding_client_rect().top();
    let Ok(found) = element.query_selector_all("[data-row]") else { return Vec::new() };
    (0..found.length())
        .filter_map(|index| found.get(index)?.dyn_into::<Element>().ok())
        .map(|row| {
            let bounds = row.get_bounding_client_rect();
            Row { top: bounds.top() - edge, height: bounds.height() }
        })
        .collect()
}

/// Where an element inside the scrolled one begins, from the upper edge of the view.
pub fn offset(node: &NodeRef, inside: &NodeRef) -> f64 {
    let top = |node: &NodeRef| node.cast::<Element>().map_or(0.0, |element| element.get_bounding_client_rect().top());
    top(inside) - top(node)
}

/// Moves the focus into the `nth` row that is drawn; with `flash`, draws the eye to it for a moment.
pub fn focus_row(node: &NodeRef, nth: usize, flash: bool) {
    let Some(element) = node.cast::<Element>() else { return };
    let Ok(found) = element.query_selector_all("[data-row]") else { return };
    let Some(row) = found.get(nth as u32).and_then(|row| row.dyn_into::<HtmlElement>().ok()) else { return };
    if flash {
        let _ = row.class_list().remove_1("row--flash");
        // Asking for the layout between the two makes the animation start again.
        let _ = row.offset_height();
        let _ = row.class_list().add_1("row--flash");
    }
    if let Ok(Some(article)) = row.query_selector("article")
        && let Some(article) = article.dyn_ref::<HtmlElement>()
    {
        let options = web_sys::FocusOptions::new();
        options.set_prevent_scroll(true);
        let _ = article.focus_with_options(&options);
    }
}

/// Hears when an element changes its size, until it is dropped.
pub struct SizeWatch {
    observer: Option<ResizeObserver>,
    _heard: Closure<dyn FnMut(JsValue)>,
}

impl SizeWatch {
    /// Watches all of `nodes`.
    pub fn new(nodes: &[&NodeRef], changed: impl FnMut() + 'static) -> SizeWatch {
        let changed = Rc::new(RefCell::new(changed));
        let heard = Closure::<dyn FnMut(JsValue)>::new(move |_| {
            // A size that changes while a change is being dealt with is reported again by the browser.
            if let Ok(mut changed) = changed.try_borrow_mut() {
                changed();
            }
        });
        let observer = ResizeObserver::new(heard.as_ref().unchecked_ref()).ok();
        if let Some(observer) = &observer {
            for element in nodes.iter().filter_map(|node| node.cast::<Element>()) {
                observer.observe(&element);
            }
        }
        SizeWatch { observer, _heard: heard }
    }
}

impl std::fmt::Debug for SizeWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SizeWatch").finish_non_exhaustive()
    }
}

impl Drop for SizeWatch {
    fn drop(&mut self) {
        if let Some(observer) = &self.observer {
            observer.disconnect();
        }
    }
}
