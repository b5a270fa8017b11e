//! The reports for GitHub: annotations, read by the rules of its workflow commands, and the summary of a step.

use std::collections::BTreeMap;
use std::fs;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::{GOOD, Lines, Project, of_all_kinds, on_github, run_to_end, summary_of};

/// An annotation, as GitHub reads it.
#[derive(Debug, PartialEq, Eq)]
struct Annotation {
    level: String,
    properties: BTreeMap<String, String>,
    message: String,
}

impl Annotation {
    fn get(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str)
    }
}

/// Returns a text without the escapes of its place: `%25` is the last, since it makes a `%`.
fn unescaped(text: &str, escapes: &[(&str, &str)]) -> String {
    let mut out = text.to_owned();
    for (escape, c) in escapes
        .iter()
        .chain(&[("%0D", "\r"), ("%0A", "\n"), ("%25", "%")])
    {
        out = out.replace(escape, c);
    }
    out
}

/// Reads a line as a workflow command: `::name key=value,key=value::message`. `None` if it is none.
fn command(line: &str) -> Option<Annotation> {
    let (head, message) = line.strip_prefix("::")?.split_once("::")?;
    let (level, properties) = head.split_once(' ').unwrap_or((head, ""));
    let property = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        let value = unescaped(value, &[("%3A", ":"), ("%2C", ",")]);
        (key.to_owned(), value)
    };
    let pairs = properties.split(',').filter(|pair| !pair.is_empty());
    Some(Annotation {
        level: level.to_owned(),
        properties: pairs.map(property).collect(),
        message: unescaped(message, &[]),
    })
}

fn annotations(output: &str) -> Vec<Annotation> {
    output.lines().filter_map(command).collect()
}

#[test]
fn annotations_name_file_line_and_finding() {
    let project = of_all_kinds("reports/github");
    let ended = on_github(&project, &["check"]).code(3);
    assert_eq!(annotations(&ended.err), []);
    let annotations = annotations(&ended.out);
    let shown: Vec<_> = annotations
        .iter()
        .map(|one| {
            let file = one.get("file").unwrap();
            (&*one.level, file, one.get("line"), one.get("col"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("error", "scenarios/hostile.toml", Some("7"), Some("10")),
            ("error", "scenarios/invalid.toml", Some("1"), Some("9")),
            ("error", "scenarios/law.toml", Some("4"), Some("15")),
            ("warning", "scenarios/unaccepted.toml", None, None),
            ("error", "scenarios/unmet.toml", Some("8"), Some("8")),
            ("warning", "snapshots/gone.snap", None, None),
        ]
    );
    let law = &annotations[2];
    assert_eq!(law.get("title"), Some("law: uses/closed-after-users"));
    let lines: Vec<_> = law.message.lines().collect();
    assert!(
        lines[0].starts_with("broken law uses/closed-after-users: \"db\" was closed at 10.000"),
        "{lines:?}"
    );
    assert_eq!(
        lines[1..],
        ["and 1 more finding", "replay: deadstop replay law --seed 0"]
    );
    let hostile = &annotations[0].message;
    assert!(hostile.contains(r#""<a>&"'|*]]>%0A,::`""#), "{hostile}");
}

#[test]
fn annotation_of_a_file_with_a_hostile_name_finds_it() {
    let name = "a,b;c=100%25 (x)";
    let project = Project::new("reports/github-name").with(
        &format!("{name}.toml"),
        &GOOD.replace("exit = 0", "exit = 1"),
    );
    // The workspace is the folder above that of the project.
    let mut check = project.command(&["check"]);
    check
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", project.root.parent().unwrap());
    let found = annotations(&run_to_end(&mut check).code(1).out);
    let file = format!("github-name/scenarios/{name}.toml");
    assert_eq!(found[0].get("file"), Some(&*file));
    assert_eq!(found[0].get("title"), Some(&*format!("{name}: exit")));
}

#[test]
fn github_is_heeded_where_it_runs_and_where_asked_for() {
    let project = of_all_kinds("reports/github-where");
    let plain = project.run(&["check"]).code(3);
    assert_eq!(annotations(&plain.out), []);
    let asked = project.run(&["check", "--report", "github"]).code(3);
    assert_eq!(annotations(&asked.out).len(), 6);
    // Both at once is one reporter.
    let both = on_github(&project, &["check", "--report", "github"]).code(3);
    assert_eq!(annotations(&both.out).len(), 6);
    for other in ["false", "1", ""] {
        let mut check = project.command(&["check"]);
        let check = run_to_end(check.env("GITHUB_ACTIONS", other));
        assert_eq!(annotations(&check.out), []);
    }
}

#[test]
fn snapshots_that_cannot_be_read_are_an_error() {
    let project = Project::new("reports/github-unread")
        .with("own.toml", "title = \"For a worker of one's own\"\n");
    fs::write(project.root.join("snapshots"), "no folder").unwrap();
    let ended = on_github(&project, &["check", "--format", "json"]).code(1);
    let found = annotations(&ended.err);
    assert_eq!((found.len(), &*found[0].level), (1, "error"));
    let lines = Lines::new().read(&ended.out);
    assert_eq!(lines[1]["findings"][0]["check"], "snapshot-error");
}

#[test]
fn annotations_go_past_json_to_standard_error() {
    let project = of_all_kinds("reports/github-json");
    let ended = on_github(&project, &["check", "--format", "json"]).code(3);
    Lines::new().read(&ended.out);
    assert_eq!(annotations(&ended.err).len(), 6);
}

#[test]
fn github_is_given_at_most_ten_annotations_of_a_level() {
    let mut project = Project::new("reports/github-many");
    for n in 0..12 {
        project = project
            .with(
                &format!("bad/{n}.toml"),
                &GOOD.replace("exit = 0", "exit = 1"),
            )
            .with(&format!("new/{n}.toml"), GOOD);
    }
    let ended = on_github(&project, &["check"]).code(1);
    let annotations = annotations(&ended.out);
    let of = |level: &str| annotations.iter().filter(|one| one.level == level).count();
    assert_eq!((of("error"), of("warning"), of("notice")), (10, 10, 1));
    let notice = &annotations.last().unwrap().message;
    assert!(
        notice.starts_with("4 more scenarios not annotated"),
        "{notice}"
    );
    // The summary has all of them.
    let summary = fs::read_to_string(summary_of(&project)).unwrap();
    assert_eq!(Page::of(&summary).scenarios.len(), 24);
}

/// A summary, as a reader of Markdown has it.
#[derive(Debug, Default)]
struct Page {
    title: String,
    /// Each heading of a scenario, with the block of code below it.
    scenarios: Vec<(String, String)>,
    /// All other text.
    text: String,
}

impl Page {
    fn of(markdown: &str) -> Self {
        let mut page = Page::default();
        let mut part = None;
        for event in Parser::new(markdown) {
            match event {
                Event::Start(Tag::Heading { .. }) => part = Some(String::new()),
                Event::End(TagEnd::Heading(level)) => {
                    let heading = part.take().unwrap();
                    match level as usize {
                        2 => page.title = heading,
                        _ => page.scenarios.push((heading, String::new())),
                    }
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    assert_eq!(kind, CodeBlockKind::Fenced("text".into()));
                    part = Some(String::new());
                }
                Event::End(TagEnd::CodeBlock) => {
                    page.scenarios.last_mut().unwrap().1 = part.take().unwrap();
                }
                Event::Text(text) => part.as_mut().unwrap_or(&mut page.text).push_str(&text),
                Event::Code(code) => page.text.push_str(&code),
                Event::Start(Tag::Paragraph | Tag::List(_) | Tag::Item)
                | Event::End(TagEnd::Paragraph | TagEnd::List(_) | TagEnd::Item) => {
                    page.text.push('\n');
                }
                other => panic!("{other:?}"),
            }
        }
        page
    }
}

#[test]
fn summary_shows_each_failure_with_its_picture() {
    let project = of_all_kinds("reports/summary")
        .with("_a_*b*`[c](d).toml", &GOOD.replace("exit = 0", "exit = 1"));
    fs::write(summary_of(&project), "## Another step\n\n").unwrap();
    let ended = on_github(&project, &["check"]).code(3);
    let written = fs::read_to_string(summary_of(&project)).unwrap();
    let own = written.strip_prefix("## Another step\n\n").unwrap();
    let page = Page::of(own);
    assert_eq!(
        page.title,
        "Deadstop: 1 invalid, 4 failed, 2 with a snapshot to review"
    );
    assert!(page.text.contains("8 scenarios, "), "{}", page.text);
    assert!(
        page.text.contains("snapshots/gone.snap: no scenario"),
        "{}",
        page.text
    );
    let names: Vec<_> = page.scenarios.iter().map(|(name, _)| &**name).collect();
    let right = [
        "_a_*b*`[c](d)",
        "hostile",
        "invalid",
        "law",
        "unaccepted",
        "unmet",
    ];
    assert_eq!(names, right);
    for (name, block) in &page.scenarios {
        assert!(ended.out.contains(block.trim_end()), "{block}");
        let picture = format!("\n{name}  seed 0, worker on sim\n");
        let has_run = !["invalid", "unaccepted"].contains(&&**name);
        assert_eq!(block.contains(&picture), has_run, "{block}");
    }
}

#[test]
fn summary_of_what_is_well_is_its_numbers() {
    let project = Project::new("reports/summary-well").with("a.toml", GOOD);
    project.run(&["check"]).code(5);
    project.run(&["accept"]).code(0);
    on_github(&project, &["check"]).code(0);
    let page = Page::of(&fs::read_to_string(summary_of(&project)).unwrap());
    assert_eq!(page.title, "Deadstop: all well");
    assert!(page.text.contains("1 scenario, 5 runs, "), "{}", page.text);
    assert_eq!(page.scenarios.len(), 0);
}

#[test]
fn summary_stays_below_what_github_takes() {
    const MOST: usize = 1 << 20;
    let mut project = Project::new("reports/summary-size");
    for n in 0..12 {
        let text = GOOD.replace("exit = 0", "exit = 1");
        project = project.with(&format!("{n:02}.toml"), &text);
    }
    let written = |there: usize| {
        fs::write(summary_of(&project), " ".repeat(there)).unwrap();
        on_github(&project, &["check"]).code(1);
        let summary = fs::read_to_string(summary_of(&project)).unwrap();
        assert!(summary.len() <= MOST, "{}", summary.len());
        summary[there..].to_owned()
    };
    let all = written(0);
    assert_eq!(Page::of(&all).scenarios.len(), 12);
    // Another step has left room for half of it.
    let half = Page::of(&written(MOST - all.len() / 2));
    let shown = half.scenarios.len();
    assert!((1..12).contains(&shown), "{shown}");
    let left_out = format!("{} more scenarios with findings", 12 - shown);
    assert!(half.text.contains(&left_out), "{}", half.text);
    // Where there is no room at all, nothing is written.
    assert_eq!(written(MOST - 10), "");
}
