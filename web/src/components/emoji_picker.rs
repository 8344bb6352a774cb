//! A small panel of emoji above the composer: groups, search, and what was used last.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::shell::{case, dom, http};
use crate::texts::emoji::{Group, Table};
use crate::texts::{self, Phrase};
use crate::ui::icon::{Glyph, icon};
use crate::ui::spinner::spinner;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The emoji used last, newest first.
    pub recent: Vec<String>,
    /// The button that opened it, whose press closes it by itself.
    pub anchor: NodeRef,
    pub onpick: Callback<AttrValue>,
    pub onclose: Callback<()>,
}

#[component]
pub fn EmojiPicker(props: &Props) -> Html {
    let query = use_state(String::new);
    let group = use_state(|| Group::Smileys);
    let table = use_state(|| None::<Table>);
    {
        let table = table.setter();
        use_effect_with((), move |()| {
            spawn_local(async move {
                let path = format!("/emoji-{}.txt", texts::language().tag());
                let answer = http::ask("GET", &path, None).await;
                let file = answer.text().filter(|_| answer.is_success()).unwrap_or_default().to_owned();
                table.set(Some(Table::new(file)));
            });
        });
    }
    let (panel, search) = (use_node_ref(), use_node_ref());
    {
        let (search, panel, anchor, onclose) = (search.clone(), panel.clone(), props.anchor.clone(), props.onclose.clone());
        use_effect_with((), move |()| {
            if !dom::is_touch() {
                dom::focus(&search);
            }
            let listener = dom::on_press(move |target| {
                if !dom::contains(&panel, target.clone()) && !dom::contains(&anchor, target) {
                    onclose.emit(());
                }
            });
            move || drop(listener)
        });
    }
    let onkeydown = {
        let (panel, onclose) = (panel.clone(), props.onclose.clone());
        Callback::from(move |event: KeyboardEvent| {
            let step = match event.key().as_str() {
                "Escape" => {
                    event.stop_propagation();
                    return onclose.emit(());
                }
                "ArrowRight" => 1,
                "ArrowLeft" => -1,
                "ArrowDown" => 7,
                "ArrowUp" => -7,
                _ => return,
            };
            let in_search = dom::is_typing_somewhere();
            if in_search && event.key() != "ArrowDown" {
                return;
            }
            event.prevent_default();
            dom::move_focus(&panel, ".emoji__grid button", step);
        })
    };
    let oninput = {
        let query = query.clone();
        Callback::from(move |event: InputEvent| query.set(dom::value(&event)))
    };
    let grid = |emoji: &mut dyn Iterator<Item = (AttrValue, AttrValue)>| {
        let one = |(emoji, name): (AttrValue, AttrValue)| {
            let onclick = {
                let emoji = emoji.clone();
                props.onpick.reform(move |_: MouseEvent| emoji.clone())
            };
            html! { <button key={emoji.to_string()} type="button" aria-label={name.clone()} title={name} {onclick}>{ emoji }</button> }
        };
        html! { <div class="emoji__grid">{ for emoji.map(one) }</div> }
    };
    let pair = |(emoji, name): (&str, &str)| (AttrValue::from(emoji.to_owned()), AttrValue::from(name.to_owned()));
    let wanted = case::lower(query.trim());
    let name = |emoji: &String| table.as_ref().and_then(|table| table.name(emoji)).unwrap_or(emoji).to_owned();
    let recent = (wanted.is_empty() && *group == Group::Smileys && !props.recent.is_empty()).then(|| {
        let mut recent = props.recent.iter().map(|emoji| pair((emoji, &name(emoji))));
        html! { <><h3>{ Phrase::EmojiRecent.say() }</h3>{ grid(&mut recent) }</> }
    });
    let body = match &*table {
        None => spinner(Some(Phrase::Loading.say())),
        Some(table) if table.is_empty() => html! { <p class="emoji__none" role="status">{ Phrase::EmojiFailed.say() }</p> },
        Some(table) if wanted.is_empty() => html! { <><h3>{ group.phrase().say() }</h3>{ grid(&mut table.group(*group).map(pair)) }</> },
        Some(table) if table.find(&wanted).next().is_none() => html! { <p class="emoji__none" role="status">{ Phrase::NoEmoji.say() }</p> },
        Some(table) => html! { <div class="emoji__found">{ grid(&mut table.find(&wanted).map(pair)) }</div> },
    };
    let tab = |one: Group| {
        let onclick = {
            let (group, query) = (group.clone(), query.clone());
            Callback::from(move |_: MouseEvent| {
                group.set(one);
                query.set(String::new());
            })
        };
        let pressed = wanted.is_empty() && *group == one;
        let name = one.phrase().say();
        html! { <button type="button" aria-pressed={pressed.to_string()} aria-label={name.clone()} title={name} {onclick}>{ icon(glyph(one)) }</button> }
    };
    html! {
        <div ref={panel} class="emoji" role="dialog" aria-label={Phrase::Emoji.say()} {onkeydown}>
            <div class="search">
                { icon(Glyph::Search) }
                <input ref={search} type="search" aria-label={Phrase::SearchEmoji.say()} placeholder={Phrase::SearchEmoji.say()}
                    value={(*query).clone()} {oninput} autocomplete="off" />
            </div>
            <div class="emoji__tabs" role="group" aria-label={Phrase::Emoji.say()}>{ for Group::ALL.map(tab) }</div>
            <div class="emoji__all" tabindex="-1">{ recent }{ body }</div>
        </div>
    }
}

fn glyph(group: Group) -> Glyph {
    match group {
        Group::Smileys => Glyph::Smileys,
        Group::People => Glyph::WaveHand,
        Group::Nature => Glyph::Nature,
        Group::Food => Glyph::Food,
        Group::Activity => Glyph::Activity,
        Group::Travel => Glyph::Travel,
        Group::Objects => Glyph::Objects,
        Group::Symbols => Glyph::Heart,
    }
}
