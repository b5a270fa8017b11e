//! Runs the README's commands in a project of their own, in their order, and compares what they print with what the
//! README shows. (Its Rust is a documentation test of the crate.)
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::repository;

/// A block of the README: its info string, and its lines.
struct Block {
    info: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block {
                    info: info.to_owned(),
                    lines: Vec::new(),
                })
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)
        } else {
            let _ = fs::copy(&path, &target).unwrap();
        }
    }
}

/// Returns whether a line is as expected: `…` in the expected line stands for anything.
fn line_fits(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = expected
        .rsplit('…')
        .next()
        .filter(|_| expected.contains('…'))
    else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    last.is_empty() || line.ends_with(last)
}

/// Returns whether lines are as expected: an expected line that is `…` stands for any number of lines.
fn fits(expected: &[&str], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&"…", rest)) => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line_fits(first, line) && fits(rest, lines)),
    }
}

#[test]
fn readme_commands_print_what_the_readme_shows() {
    let root = repository::root();
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let _ = fs::remove_dir_all(&project);
    copy(&root.join("scenarios"), &project.join("scenarios"));
    copy(&root.join("snapshots"), &project.join("snapshots"));
    // The tests may run in the middle of the tour.
    for folder in ["scenarios/tour", "snapshots/tour"] {
        let _ = fs::remove_dir_all(project.join(folder));
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut commands = 0;
    for block in blocks(&readme) {
        if let Some(path) = block.info.strip_prefix("toml ") {
            let path = project.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, block.lines.join("\n") + "\n").unwrap();
        }
        if block.info != "console" {
            continue;
        }
        for exchange in block
            .lines
            .split(|line| line.starts_with("$ "))
            .skip(1)
            .zip(block.lines.iter().filter(|line| line.starts_with("$ ")))
        {
            let (expected, command) = exchange;
            let mut words = command.trim_start_matches("$ ").split(' ');
            assert_eq!(words.next(), Some("deadstop"), "{command}");
            let mut deadstop = Command::new(env!("CARGO_BIN_EXE_deadstop"));
            for variable in [
                "CI",
                "TF_BUILD",
                "INSTA_UPDATE",
                "INSTA_FORCE_PASS",
                "GITHUB_ACTIONS",
                "GITHUB_STEP_SUMMARY",
            ] {
                deadstop.env_remove(variable);
            }
            let ended = deadstop.args(words).current_dir(&project).output().unwrap();
            let out = String::from_utf8(ended.stdout).unwrap();
            let expected: Vec<_> = expected.iter().map(String::as_str).collect();
            let lines: Vec<_> = out.trim_end().lines().collect();
            assert!(
                fits(&expected, &lines),
                "{command}\nexpected:\n{}\nprinted:\n{out}",
                expected.join("\n")
            );
            commands += 1;
        }
    }
    assert_eq!(commands, 9, "each command of the README was run");
}

#[test]
fn gate_runs_the_shell_commands_of_the_readme() {
    let root = repository::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let gate = fs::read_to_string(root.join("ci/gate.sh")).unwrap();
    for block in blocks(&readme).iter().filter(|block| block.info == "sh") {
        for line in &block.lines {
            let command = line.split('#').next().unwrap().trim();
            assert!(
                gate.lines().any(|line| line.trim() == command),
                "the gate does not run `{command}`"
            );
        }
    }
}

#[test]
fn ellipsis_matches_anything_and_nothing_else_does() {
    assert!(fits(&["a", "…", "d"], &["a", "b", "c", "d"]));
    assert!(fits(&["a", "…", "d"], &["a", "d"]));
    assert!(!fits(&["a", "…", "d"], &["a", "b"]));
    assert!(!fits(&["a"], &["a", "b"]));
    assert!(line_fits("1 run, …: all well", "1 run, 3 events: all well"));
    assert!(!line_fits("1 run, …: all well", "1 run, 3 events: all bad"));
    assert!(!line_fits("1 run", "1 run, 3 events"));
}
