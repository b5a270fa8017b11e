//! Removes the places in a file from a model, so that two models can be compared by what they say.

use super::model::{Component, Expect, Scenario, Timed};
use super::span::Spanned;

impl Scenario {
    /// Returns the scenario with an empty span in place of each place in its file. Two files that say the same in
    /// different layouts are equal then.
    ///
    /// ```
    /// use deadstop_harness::scenario::parse;
    ///
    /// let one = parse("a", "title = \"A\"\n[expect]\nexit = 0\n")?;
    /// let other = parse("a", "title   = \"A\" # a comment\nexpect = { exit = 0 }\n")?;
    /// assert_ne!(one, other);
    /// assert_eq!(one.without_spans(), other.without_spans());
    /// # Ok::<(), deadstop_harness::scenario::Invalid>(())
    /// ```
    #[must_use]
    pub fn without_spans(mut self) -> Scenario {
        for Component { span, .. } in self.worker.components.iter_mut().flatten() {
            *span = 0..0;
        }
        for Timed { span, .. } in &mut self.timeline {
            *span = 0..0;
        }
        clear_expect(&mut self.expect);
        self
    }
}

/// Clears the spans of all expectations. A field that is forgotten here does not compile.
fn clear_expect(expect: &mut Expect) {
    let Expect {
        exit,
        cause,
        within,
        ends_at,
        ready,
        registered,
        watchdog,
        closed,
        leaked,
        timed_out,
        aborted,
        failed,
        panicked,
        not_awaited,
        lost,
        died,
        ended,
        refused,
        lines,
        breaks,
    } = expect;
    clear(exit);
    clear(cause);
    clear(within);
    clear(ends_at);
    clear(ready);
    clear(watchdog);
    for names in [
        registered,
        closed,
        leaked,
        timed_out,
        aborted,
        failed,
        panicked,
        not_awaited,
        lost,
        died,
        ended,
        refused,
    ] {
        clear(names);
    }
    clear(lines);
    for line in lines.iter_mut().flat_map(|lines| &mut lines.value) {
        line.span = 0..0;
    }
    breaks.span = 0..0;
}

fn clear<T>(spanned: &mut Option<Spanned<T>>) {
    if let Some(spanned) = spanned {
        spanned.span = 0..0;
    }
}
