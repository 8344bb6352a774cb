//! A small panel of emoji above the composer: groups, search, and what was used last.

use yew::prelude::*;

use crate::shell::dom;
use crate::texts::Phrase;
use crate::texts::emoji::{self, Group};
use crate::ui::icon::{Glyph, Icon};

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
    let pair = |(emoji, name): (&'static str, &'static str)| (AttrValue::Static(emoji), AttrValue::Static(name));
    let wanted = query.trim().to_lowercase();
    let body = if wanted.is_empty() {
        let recent = props
            .recent
            .iter()
            .map(|emoji| (AttrValue::from(emoji.clone()), AttrValue::from(emoji::name(emoji).unwrap_or(emoji).to_owned())));
        html! {
            <>
                if *group == Group::Smileys && !props.recent.is_empty() {
                    <h3>{ Phrase::EmojiRecent.say() }</h3>
                    { grid(&mut recent.into_iter()) }
                }
                <h3>{ group.phrase().say() }</h3>
                { grid(&mut group.emoji().map(pair)) }
            </>
        }
    } else {
        let found: Vec<_> = Group::ALL.into_iter().flat_map(Group::emoji).filter(|(_, name)| name.contains(&wanted)).map(pair).collect();
        if found.is_empty() {
            html! { <p class="emoji__none" role="status">{ Phrase::NoEmoji.say() }</p> }
        } else {
            html! { <div class="emoji__found">{ grid(&mut found.into_iter()) }</div> }
        }
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
        html! { <button type="button" aria-pressed={pressed.to_string()} aria-label={name.clone()} title={name} {onclick}><Icon glyph={glyph(one)} /></button> }
    };
    html! {
        <div ref={panel} class="emoji" role="dialog" aria-label={Phrase::Emoji.say()} {onkeydown}>
            <div class="search">
                <Icon glyph={Glyph::Search} />
                <input ref={search} type="search" aria-label={Phrase::SearchEmoji.say()} placeholder={Phrase::SearchEmoji.say()}
                    value={(*query).clone()} {oninput} autocomplete="off" />
            </div>
            <div class="emoji__tabs" role="group" aria-label={Phrase::Emoji.say()}>{ for Group::ALL.map(tab) }</div>
            <div class="emoji__all" tabindex="-1">{ body }</div>
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
