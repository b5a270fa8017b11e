//! Turns the parts of a model into tables of keys and values, in the order in which people write them.
//!
//! Every part is taken apart field by field, so that a field that is forgotten here does not compile.

use std::time::Duration;

use crate::journal::Name;
use crate::scenario::keys::{self, Place};
use crate::scenario::model::{
    Component, Expect, Needs, Scenario, Timed, Verb, WatchdogLimits, WatchdogVerdict, Worker,
};
use crate::scenario::parse::default_worker;
use crate::scenario::span::Spanned;
use crate::scenario::table::{Table, Value};
use crate::scenario::trigger::Trigger;
use crate::scenario::written::{all_quoted, quoted, time, time_or_forever, word};
use deadstop::context::ResolvedLimits;

fn flag(flag: bool) -> String {
    flag.to_string()
}

/// Returns the keys of the file itself, without its tables.
pub(super) fn top(scenario: &Scenario) -> Table {
    let Scenario {
        name: _,
        title,
        tags,
        not_live,
        patience,
        allow,
        worker: _,
        timeline: _,
        expect: _,
    } = scenario;
    let mut table = Table::default();
    table.set("title", quoted(title));
    table.set_list("tags", all_quoted(tags));
    let live = not_live.as_ref();
    table.set_some("live", live.map(|reason| quoted(&format!("no: {reason}"))));
    table.set_some("patience", patience.map(time));
    table.set_list("allow", all_quoted(allow));
    table
}

/// Returns the keys of `[worker]`. `own` are the limits that the worker has without the file.
pub(super) fn worker(worker: &Worker, own: Option<&ResolvedLimits>) -> Table {
    let Worker {
        grace,
        reserve,
        margin: _,
        ties,
        start_timeout,
        pre_stop,
        run,
        components,
    } = worker;
    let defaults = default_worker(Some(*grace), own);
    let default_grace = default_worker(None, own).grace;
    let mut table = Table::default();
    table.set_bound("grace", *grace, default_grace);
    table.set_bound("reserve", *reserve, defaults.reserve);
    table.set_bound("start-timeout", *start_timeout, defaults.start_timeout);
    table.set_bound("pre-stop", *pre_stop, defaults.pre_stop);
    table.set_or_default("ties", *ties, defaults.ties, |ties| word(ties.as_str()));
    table.set_or_default("run", *run, defaults.run, flag);
    if let Some(components) = components {
        let tables = components.iter().map(component).collect();
        table.put("components", Value::Tables(tables), false);
    }
    table
}

/// Returns the keys of `[timeline]`.
pub(super) fn timeline(timeline: &[Timed]) -> Table {
    let mut table = Table::default();
    let events = timeline.iter().map(event).collect();
    table.put("events", Value::Tables(events), timeline.is_empty());
    table
}

fn component(component: &Component) -> Table {
    let Component {
        name,
        kind,
        order,
        after,
        late,
        uses,
        takes,
        needs,
        timeout,
        floor,
        is_async,
        period,
        told,
        told_by,
        adopted,
        watchdog,
        span: _,
    } = component;
    let defaults = Component::new(*kind, name.clone());
    let mut table = Table::default();
    table.set(kind.as_str(), quoted(name));
    table.set_or_default("order", *order, defaults.order, |order| order.to_string());
    table.set_or_default("after", *after, defaults.after, time);
    table.set_or_default("late", *late, defaults.late, flag);
    for key in ["join-timeout", "cancel-timeout"] {
        table.set_or_default(key, *timeout, defaults.timeout, time);
    }
    table.set_or_default("async", *is_async, defaults.is_async, flag);
    table.set_some("period", period.map(time));
    table.set_or_default("takes", *takes, defaults.takes, time);
    table.set_some("needs", needs.as_ref().map(needed));
    table.set_or_default("timeout", *timeout, defaults.timeout, time);
    table.set_some("floor", floor.map(time));
    table.set_or_default("told", *told, defaults.told, |told| word(told.as_str()));
    table.set_some("told-by", told_by.as_deref().map(quoted));
    table.set_or_default("adopted", *adopted, defaults.adopted, flag);
    if let Some(watchdog) = watchdog {
        set_watchdog(&mut table, watchdog);
    }
    table.set_list("uses", all_quoted(uses));
    // The table of keys knows which of them go with the kind.
    table.fields.retain(|field| {
        keys::find(Place::Component, field.key).is_none_or(|key| key.goes_with(kind.as_str()))
    });
    table
}

fn needed(needs: &Needs) -> String {
    match needs {
        Needs::Executor => word("executor"),
        Needs::Component(name) => quoted(name),
    }
}

fn set_watchdog(table: &mut Table, watchdog: &WatchdogLimits) {
    let WatchdogLimits {
        interval,
        attempts,
        request_timeout,
        start_grace,
    } = watchdog;
    let defaults = WatchdogLimits::default();
    table.set_or_default(
        "request-timeout",
        *request_timeout,
        defaults.request_timeout,
        time,
    );
    table.set_or_default("interval", *interval, defaults.interval, time);
    table.set_or_default("attempts", *attempts, defaults.attempts, |n| n.to_string());
    table.set_some("start-grace", start_grace.map(time));
}

fn event(timed: &Timed) -> Table {
    let Timed {
        trigger,
        verb,
        span: _,
    } = timed;
    let mut table = Table::default();
    match trigger {
        Trigger::At(at) => table.set_or_default("at", *at, Duration::ZERO, time),
        Trigger::On { name, after } => {
            table.set("on", quoted(name));
            table.set_or_default("after", *after, Duration::ZERO, time);
        }
        Trigger::OnEnd { name, after } => {
            table.set("on-end", quoted(name));
            table.set_or_default("after", *after, Duration::ZERO, time);
        }
        Trigger::AfterEvent(number) => table.set("after-event", number.to_string()),
    }
    set_verb(&mut table, verb);
    table
}

fn set_verb(table: &mut Table, verb: &Verb) {
    let key = verb.key();
    let count = |n: u32| n.to_string();
    let name_of = |name: &Option<Name>| name.as_deref().map(quoted);
    let text_of = |text: &Option<String>| text.as_deref().map(quoted);
    match verb {
        Verb::Signal(signal) => table.set(key, word(signal.as_str())),
        Verb::Call {
            call,
            from,
            callers,
            message,
        } => {
            table.set(key, word(call.as_str()));
            table.set_some("from", name_of(from));
            table.set_or_default("callers", *callers, 1, count);
            table.set_some("message", text_of(message));
        }
        Verb::Register { name } => table.set(key, quoted(name)),
        Verb::Fault { name, fault } => {
            table.set(key, quoted(name));
            fault.write(table);
        }
        Verb::KillFails => table.set(key, word("kill")),
        Verb::Health {
            answer,
            takes,
            lasts,
            every,
        } => {
            table.set(key, word(answer));
            table.set_or_default("takes", *takes, Some(Duration::ZERO), time_or_forever);
            table.set_or_default("for", *lasts, None, time_or_forever);
            table.set_or_default("every", *every, 1, count);
        }
    }
}

/// Returns the keys of `[expect]`.
pub(super) fn expect(expect: &Expect) -> Table {
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
    let mut table = Table::default();
    table.set_some("exit", of(exit, ToString::to_string));
    table.set_some("cause", of(cause, |cause| word(cause.as_str())));
    table.set_some("within", of(within, |within| time(*within)));
    table.set_some(
        "watchdog",
        of(watchdog, |verdict| word(verdict_word(*verdict))),
    );
    table.set_some("ready", of(ready, |ready| flag(*ready)));
    for (key, names) in [
        ("registered", registered),
        ("died", died),
        ("ended", ended),
        ("closed", closed),
        ("refused", refused),
        ("failed", failed),
        ("panicked", panicked),
        ("aborted", aborted),
        ("timed-out", timed_out),
        ("not-awaited", not_awaited),
        ("leaked", leaked),
        ("lost", lost),
    ] {
        if let Some(names) = names {
            table.put(key, Value::List(all_quoted(&names.value)), false);
        }
    }
    table.set_some("ends-at", of(ends_at, |at| time(*at)));
    if let Some(lines) = lines {
        let parts = lines.value.iter().map(|part| &part.value);
        table.put("lines", Value::List(all_quoted(parts)), false);
    }
    table.set_list("breaks", all_quoted(&breaks.value));
    table
}

fn of<T>(expected: &Option<Spanned<T>>, text: impl FnOnce(&T) -> String) -> Option<String> {
    expected.as_ref().map(|expected| text(&expected.value))
}

const fn verdict_word(verdict: WatchdogVerdict) -> &'static str {
    match verdict {
        WatchdogVerdict::Quiet => "quiet",
        WatchdogVerdict::Fires => "fires",
    }
}
