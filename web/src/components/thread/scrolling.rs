//! Which rows are drawn, and where the view stands among them.

use yew::prelude::*;

use super::{BEYOND, Msg, Target, Thread};
use crate::shell::{dom, scroll};
use crate::window::Layout;
use wasm_core::cpm::ids::MessageId;

/// How near to the edge of the view the rows that are drawn must not end, in CSS pixels.
const MARGIN: f64 = 400.0;
/// How near to the end counts as the end.
const AT_END: f64 = 48.0;

impl Thread {
    pub(super) fn scrolled(&mut self, ctx: &Context<Self>) -> bool {
        if self.stale {
            return false;
        }
        self.place = scroll::place(&self.log);
        let at_end = self.place.below() <= AT_END && self.drawn.end == self.order.len();
        let turned = at_end != self.at_end;
        self.at_end = at_end;
        self.note_anchor();
        self.read(ctx);
        self.ask_for_older(ctx);
        self.reframe() || turned
    }

    /// Draws other rows when the view comes near the edge of those that are drawn.
    fn reframe(&mut self) -> bool {
        let lead = self.lead();
        let near = self.layout.touched(self.place.top - lead - MARGIN, self.place.view + 2.0 * MARGIN);
        if near.start >= self.drawn.start && near.end <= self.drawn.end {
            return false;
        }
        let wanted = self.layout.touched(self.place.top - lead - BEYOND, self.place.view + 2.0 * BEYOND);
        let changed = wanted != self.drawn && !wanted.is_empty();
        if changed {
            self.stale = true;
            self.drawn = wanted;
        }
        changed
    }

    /// Where in the scrolled space the first of all rows begins.
    fn lead(&self) -> f64 {
        scroll::offset(&self.log, &self.above) + self.place.top
    }

    /// After drawing: measures, makes the space above and below true, and puts the view where it belongs.
    pub(super) fn settle(&mut self, ctx: &Context<Self>) {
        self.stale = false;
        let mut news = false;
        for (row, id) in scroll::rows(&self.log).iter().zip(&self.order[self.drawn.clone()]) {
            news |= self.heights.note(id.clone(), row.height);
        }
        if news || self.layout.count() != self.order.len() {
            self.layout = Layout::new(self.order.iter(), &self.heights);
        }
        dom::set_height(&self.above, self.layout.above(&self.drawn));
        dom::set_height(&self.below, self.layout.below(&self.drawn));
        let place = scroll::place(&self.log);
        let rows = scroll::rows(&self.log);
        let row = |wanted: &MessageId| {
            let at = self.order[self.drawn.clone()].iter().position(|id| id == wanted)?;
            rows.get(at).map(|row| (at, row.top))
        };
        match self.target.take() {
            Some(Target::End) => {
                scroll::set_top(&self.log, place.whole);
                self.at_end = true;
            }
            Some(Target::Row { id, at, flash }) => {
                if let Some((nth, top)) = row(&id) {
                    scroll::set_top(&self.log, place.top + top - at * place.view);
                    if flash {
                        scroll::focus_row(&self.log, nth, true);
                    }
                }
            }
            None if self.at_end && self.drawn.end == self.order.len() => scroll::set_top(&self.log, place.whole),
            None => {
                if let Some((id, before)) = &self.anchor
                    && let Some((nth, top)) = row(id)
                    && let end = top + rows[nth].height
                    && (end - before).abs() > 0.5
                {
                    scroll::set_top(&self.log, place.top + end - before);
                }
            }
        }
        self.place = scroll::place(&self.log);
        let at_end = self.place.below() <= AT_END && self.drawn.end == self.order.len();
        self.note_anchor();
        let lead = self.lead();
        let near = self.layout.touched(self.place.top - lead - MARGIN, self.place.view + 2.0 * MARGIN);
        if near.start < self.drawn.start || near.end > self.drawn.end || at_end != self.at_end {
            self.at_end = at_end;
            ctx.link().send_message(Msg::Scrolled);
        }
        self.read(ctx);
        self.ask_for_older(ctx);
    }

    fn note_anchor(&mut self) {
        let rows = scroll::rows(&self.log);
        let first = rows.iter().position(|row| row.top + row.height > 0.0);
        self.anchor = first.and_then(|nth| Some((self.order.get(self.drawn.start + nth)?.clone(), rows[nth].top + rows[nth].height)));
        if self.at_end {
            self.seen = self.order.last().cloned();
        }
    }
}
