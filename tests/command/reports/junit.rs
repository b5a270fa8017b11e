//! The JUnit report, read as Jenkins reads it: by its schema `junit-10.xsd`.

use std::fs;

use roxmltree::{Document, Node};

use super::{Project, of_all_kinds};

/// The schema's rule for an element: its required attributes, its other ones, and the elements that it may contain.
struct Rule {
    required: &'static [&'static str],
    optional: &'static [&'static str],
    children: &'static [&'static str],
    has_text: bool,
}

/// Returns the schema's rule for an element, as far as a report may use it.
fn rule(element: &str) -> Rule {
    let (required, optional, children): (&[&'static str], &[&'static str], &[&'static str]) =
        match element {
            "testsuites" => (
                &[],
                &["name", "time", "tests", "failures", "errors"],
                &["testsuite"],
            ),
            "testsuite" => (
                &["name", "tests", "failures", "errors"],
                &[
                    "group",
                    "time",
                    "skipped",
                    "timestamp",
                    "hostname",
                    "id",
                    "package",
                    "file",
                    "log",
                    "url",
                ],
                &[
                    "testsuite",
                    "properties",
                    "testcase",
                    "system-out",
                    "system-err",
                ],
            ),
            "testcase" => (
                &["name"],
                &["time", "classname", "group"],
                &["skipped", "error", "failure", "system-out", "system-err"],
            ),
            "skipped" | "error" | "failure" => (&[], &["type", "message"], &[]),
            "system-out" | "system-err" => (&[], &[], &[]),
            other => panic!("the schema has no element {other}"),
        };
    Rule {
        required,
        optional,
        children,
        has_text: children.is_empty(),
    }
}

/// Asserts that an element, and all in it, is as the schema says, and has no time.
fn assert_valid(node: Node<'_, '_>) {
    let name = node.tag_name().name();
    let rule = rule(name);
    let attributes: Vec<&str> = node
        .attributes()
        .map(|attribute| attribute.name())
        .collect();
    for required in rule.required {
        assert!(attributes.contains(required), "{name} has no {required}");
    }
    for attribute in attributes {
        let known = rule.required.contains(&attribute) || rule.optional.contains(&attribute);
        assert!(known, "{name} has {attribute}");
        assert_ne!(attribute, "time", "{name}");
    }
    for child in node.children() {
        if child.is_element() {
            let child_name = child.tag_name().name();
            assert!(
                rule.children.contains(&child_name),
                "{child_name} in {name}"
            );
            assert_valid(child);
        } else {
            let blank = child.text().unwrap_or_default().trim().is_empty();
            assert!(rule.has_text || blank, "text in {name}");
        }
    }
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn number(node: Node<'_, '_>, attribute: &str) -> usize {
    node.attribute(attribute).unwrap().parse().unwrap()
}

/// Asserts that a suite, or all suites, count their test cases rightly.
fn assert_counted(node: Node<'_, '_>) {
    let cases = || {
        node.descendants()
            .filter(|node| node.has_tag_name("testcase"))
    };
    let with = |name: &str| cases().filter(|case| child(*case, name).is_some()).count();
    assert_eq!(number(node, "tests"), cases().count());
    assert_eq!(number(node, "failures"), with("failure"));
    assert_eq!(number(node, "errors"), with("error"));
    if node.has_tag_name("testsuite") {
        assert_eq!(number(node, "skipped"), with("skipped"));
    }
}

fn report(project: &Project, code: i32) -> String {
    project
        .run(&["check", "--report", "junit=target/junit.xml"])
        .code(code);
    fs::read_to_string(project.root.join("target/junit.xml")).unwrap()
}

#[test]
fn junit_report_is_as_the_schema_of_jenkins_says() {
    let project = of_all_kinds("reports/junit");
    // The first check makes a log pending.
    project.run(&["check"]).code(3);
    let xml = report(&project, 3);
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    let document = Document::parse(&xml).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    assert_valid(root);
    assert_counted(root);
    let suites = || root.children().filter(Node::is_element);
    suites().for_each(assert_counted);
    let names: Vec<_> = suites()
        .map(|suite| suite.attribute("name").unwrap())
        .collect();
    assert_eq!(names, ["deep/er", "scenarios", "snapshots"]);
    // Two reports of the same scenarios are the same.
    assert_eq!(report(&project, 3), xml);
}

#[test]
fn junit_tells_what_failed_where_and_with_which_log() {
    let project = of_all_kinds("reports/junit-cases");
    let xml = report(&project, 3);
    let document = Document::parse(&xml).unwrap();
    let case = |name: &str| {
        let mut all = document.descendants();
        all.find(|node| node.attribute("name") == Some(name) && node.has_tag_name("testcase"))
            .unwrap_or_else(|| panic!("{name}"))
    };
    let text = |name: &str, element: &str| {
        let node = child(case(name), element)?;
        Some(node.text().unwrap_or_default().to_owned())
    };
    let log = |name| text(name, "system-out");
    let journal = |name: &str| project.run(&["run", name]).out;

    let good = case("deep/er/good");
    assert_eq!(good.attribute("classname"), Some("deep/er"));
    assert_eq!(good.children().filter(Node::is_element).count(), 1);
    let of_good = log("deep/er/good").unwrap();
    assert!(journal("good").contains(&of_good), "{of_good}");
    assert!(
        of_good.starts_with("     0.000  .      journal  "),
        "{of_good}"
    );
    assert!(of_good.ends_with("code 0, stopped\n"), "{of_good}");

    let law = child(case("law"), "failure").unwrap();
    let message = law.attribute("message").unwrap();
    assert!(
        message.starts_with(
            "scenarios/law.toml:4:15: broken law uses/closed-after-users: \"db\" was closed at 10.000"
        ),
        "{message}"
    );
    assert_eq!(law.attribute("type"), Some("law"));
    let told = law.text().unwrap();
    assert!(told.contains("law  seed 0, worker on sim\n"), "{told}");
    assert!(
        told.ends_with("replay: deadstop replay law --seed 0\n"),
        "{told}"
    );
    assert!(journal("law").contains(&log("law").unwrap()));

    let unmet = child(case("unmet"), "failure").unwrap();
    let message = "scenarios/unmet.toml:8:8: expected the exit code 1: it was 0";
    assert_eq!(unmet.attribute("message"), Some(message));

    let invalid = child(case("invalid"), "error").unwrap();
    assert_eq!(invalid.attribute("type"), Some("file"));
    assert!(text("invalid", "failure").is_none() && log("invalid").is_none());

    assert!(child(case("own"), "skipped").is_some() && log("own").is_none());
    let missing = child(case("unaccepted"), "failure").unwrap();
    assert_eq!(missing.attribute("type"), Some("snapshot-missing"));
    assert!(log("unaccepted").is_some());
    assert!(child(case("snapshots/gone.snap"), "failure").is_some());

    // Names come through to the letter.
    let hostile = text("hostile", "failure").unwrap();
    assert!(hostile.contains("<a>&\"'|*]]>%0A,::`"), "{hostile}");
    assert!(log("hostile").unwrap().contains("<a>&\"'|*]]>%0A,::`"));
}

#[test]
fn junit_report_replaces_the_one_before() {
    let project = of_all_kinds("reports/junit-again");
    let first = report(&project, 3);
    fs::write(project.root.join("scenarios/invalid.toml"), super::GOOD).unwrap();
    let second = report(&project, 1);
    assert_ne!(first, second);
    assert_valid(Document::parse(&second).unwrap().root_element());
}
