//! The icons, drawn as SVG in the page: no font, no further request, the colour of the text around them.

use yew::prelude::*;

/// What an icon shows. All are drawn on a grid of 24 with strokes of 1.8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Glyph {
    Alert,
    Back,
    Block,
    Close,
    Compose,
    Copy,
    Down,
    Emoji,
    Eye,
    EyeOff,
    Reply,
    Search,
    Send,
    Settings,
    Smileys,
    Food,
    Heart,
    Info,
    Activity,
    Nature,
    Objects,
    Travel,
    WaveHand,
    Bubbles,
    CloudOff,
}

/// The icon. A function and not a component, as all small pieces are: a component costs a kilobyte of the download.
pub fn icon(glyph: Glyph) -> Html {
    html! { <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d={path(glyph)} /></svg> }
}

fn path(glyph: Glyph) -> &'static str {
    match glyph {
        Glyph::Alert => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7.5v5.5M12 16.4v.1",
        Glyph::Back => "M19 12H5m6-6-6 6 6 6",
        Glyph::Block => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.6 5.6l12.8 12.8",
        Glyph::Close => "M6 6l12 12M18 6 6 18",
        Glyph::Compose => {
            "M20 13v5.5a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18.5v-13A1.5 1.5 0 0 1 5.5 4H11M18.2 3.8a1.7 1.7 0 0 1 2.4 2.4L12.5 14.3 9 15l.7-3.5z"
        }
        Glyph::Copy => "M9 9h10a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1zM15 9V5a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h4",
        Glyph::Down => "M12 5v14m-6-6 6 6 6-6",
        Glyph::Emoji | Glyph::Smileys => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.5 14.5c1.8 2.3 5.2 2.3 7 0M9 9.5v.1M15 9.5v.1",
        Glyph::Eye => "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
        Glyph::EyeOff => {
            "M4 4l16 16M9.5 6A9.6 9.6 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a16 16 0 0 1-2.7 3.4M6.3 7.6A15.5 15.5 0 0 0 2.5 12S6 18.5 12 18.5a9 9 0 0 0 4-.9M10 10a3 3 0 0 0 4 4"
        }
        Glyph::Reply => "M9.5 6 4 11.5 9.5 17M4 11.5h9a7 7 0 0 1 7 7",
        Glyph::Search => "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.3 15.3 20 20",
        Glyph::Send => "M4.5 4.5 20.5 12l-16 7.5 2.5-7.5zM7 12h6",
        Glyph::Settings => {
            "M4 7.5h9M18 7.5h2M4 16.5h2M11 16.5h9M15.5 5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8.5 14a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z"
        }
        Glyph::Food => "M7 3v7a3 3 0 0 0 3 3v8M10 3v6M13 3v7a3 3 0 0 1-3 3M18 21V3c-2 1-3 4-3 8h3",
        Glyph::Heart => "M12 20S3.5 15 3.5 9A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 8.5 2c0 6-8.5 11-8.5 11z",
        Glyph::Info => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5.5M12 7.6v.1",
        Glyph::Activity => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.6 5.6c3.5 3.5 3.5 9.3 0 12.8M18.4 5.6c-3.5 3.5-3.5 9.3 0 12.8M12 3v18",
        Glyph::Nature => "M5 19c0-9 5-14 15-14 0 10-5 14-11 14-2 0-3-1-4-2M5 20c2-5 5-8 9-10",
        Glyph::Objects => "M9.5 17.5a6 6 0 1 1 5 0V20h-5zM10 22.5h4",
        Glyph::Travel => "M5 16v-4l2-5h10l2 5v4zM5 12h14M7 16v2.5M17 16v2.5",
        Glyph::WaveHand => {
            "M8 13V6.5a1.5 1.5 0 0 1 3 0V11m0-5.5a1.5 1.5 0 0 1 3 0V11m0-4a1.5 1.5 0 0 1 3 0v7a6.5 6.5 0 0 1-12 3.5L3.6 14a1.5 1.5 0 0 1 2.5-1.6L8 14.5"
        }
        Glyph::Bubbles => {
            "M5.5 4h8A2.5 2.5 0 0 1 16 6.5v4a2.5 2.5 0 0 1-2.5 2.5H9l-3.5 3v-3A2.5 2.5 0 0 1 3 10.5v-4A2.5 2.5 0 0 1 5.5 4zM19 9a2 2 0 0 1 2 2v4a2.5 2.5 0 0 1-2 2.5V20l-3-2.5h-4"
        }
        Glyph::CloudOff => "M4 4l16 16M9.5 6.7A5.5 5.5 0 0 1 17.3 11 4 4 0 0 1 20 17.3M17 18.5H7a4.5 4.5 0 0 1-.8-8.9",
    }
}
