//! The ladder of a message, which the app's second module draws: its way as arrows between those who took part, for a screen reader a list
//! of steps.

use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use wasm_core::Time;
use wasm_core::cpm::ladder::{Ladder, Step};

use crate::shell::{clock, http};
use crate::texts::Phrase;
use crate::ui::spinner::spinner;

/// The width of a lane and the height of a step, in units of the drawing.
const LANE: u32 = 100;
const STEP: u32 = 34;

/// What is known of the ladder.
enum Look {
    Loading,
    Drawn(Ladder),
    /// The server has not answered, or knows nothing of it.
    Nothing,
}

/// Asks the server for a message's ladder.
async fn fetch(id: &str) -> Look {
    let path = format!("/api/messages/{}/ladder", http::segment(id));
    match http::ask("GET", &path, None).await.json::<Ladder>() {
        Some(ladder) if !ladder.steps.is_empty() => Look::Drawn(ladder),
        Some(_) | None => Look::Nothing,
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The message.
    pub id: AttrValue,
}

#[component]
pub fn LadderOf(props: &Props) -> Html {
    let look = use_state(|| Look::Loading);
    {
        let look = look.setter();
        use_effect_with(props.id.clone(), move |id| {
            let id = id.clone();
            spawn_local(async move { look.set(fetch(&id).await) });
        });
    }
    match &*look {
        Look::Loading => spinner(Some(Phrase::Loading.say())),
        Look::Nothing => html! { <p>{ Phrase::LadderEmpty.say() }</p> },
        Look::Drawn(ladder) => draw(ladder),
    }
}

fn draw(ladder: &Ladder) -> Html {
    let start = ladder.steps.first().map_or(Time(0), |step| step.at);
    let runs = ladder.steps.chunk_by(|one, other| one.flow == other.flow);
    html! {
        <>
            <p>{ clock::in_full(start) }</p>
            <div class="ladder__lanes" aria-hidden="true">{ for ladder.lanes.iter().map(|lane| html! { <b>{ &**lane }</b> }) }</div>
            { for runs.map(|steps| html! {
                <section>
                    <h3>{ steps.first().and_then(|step| ladder.flows.get(step.flow as usize)).map(|flow| html! { { &**flow } }) }</h3>
                    <ol>{ for steps.iter().map(|step| arrow(ladder, step, start)) }</ol>
                </section>
            }) }
        </>
    }
}

fn arrow(ladder: &Ladder, step: &Step, start: Time) -> Html {
    let name = |lane: u32| ladder.lanes.get(lane as usize).map_or("", |lane| &**lane);
    let label = format!("{} +{} ms", step.what, step.at.since(start).as_millis());
    let lanes = ladder.lanes.len() as u32;
    let centre = |lane: u32| lane.min(lanes) * LANE + LANE / 2;
    let (from, to) = (centre(step.from), centre(step.to));
    let head = if from < to { to - 7 } else { to + 7 };
    let lines: String = (0..lanes).map(|lane| format!("M{} 0V{STEP}", centre(lane))).collect();
    html! {
        <li>
            <span class="unseen">{ Phrase::LadderStep { from: name(step.from), to: name(step.to), what: &label }.say() }</span>
            <svg aria-hidden="true" viewBox={format!("0 0 {} {STEP}", lanes * LANE)}>
                <path class="ladder__lines" d={lines} />
                <path d={format!("M{from} 25H{to}M{head} 21L{to} 25L{head} 29")} />
                <text x={((from + to) / 2).to_string()} y="17">{ label.as_str() }</text>
            </svg>
        </li>
    }
}
