use deadstop::{journal, laws, scenario, sim};
fn main() {
    let mut seed = 0;
    let mut subject = sim::Subject::Worker;
    let mut quiet = false;
    let mut files = vec![];
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        match a.as_str() {
            "--seed" => seed = args.next().unwrap().parse().unwrap(),
            "--plan" => subject = sim::Subject::Plan,
            "-q" => quiet = true,
            _ => files.push(a),
        }
    }
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let name = file
            .trim_start_matches("scenarios/")
            .trim_end_matches(".toml");
        match scenario::parse_bytes(name, &bytes) {
            Err(e) => println!(
                "{file}: {}",
                render2(
                    &file,
                    &String::from_utf8_lossy(&bytes),
                    &e.diagnostics,
                    false
                )
            ),
            Ok(s) => {
                let l = scenario::lint(&s);
                if !l.is_empty() {
                    println!(
                        "{}",
                        render2(&file, &String::from_utf8_lossy(&bytes), &l, false)
                    );
                }
                let j = sim::run(&s, &sim::Options { seed, subject });
                let log = journal::text(&j.events);
                if !quiet {
                    println!("{log}");
                }
                let broken = laws::judge(&j.events);
                let mut names: Vec<&str> = broken.iter().map(|b| b.law).collect();
                names.dedup();
                for b in &broken {
                    println!("LAW {} at {} (event {}): {}", b.law, b.t, b.seq, b.message);
                }
                let unmet = scenario::judge(&s, &j.events, &log, &names);
                for u in &unmet {
                    println!("UNMET {u:?}");
                }
                println!("{file}: {} broken, {} unmet", broken.len(), unmet.len());
            }
        }
    }
}
fn render2(path: &str, text: &str, d: &[scenario::Diagnostic], c: bool) -> String {
    scenario::render(d, path, text, c)
}
