//! The page of a run as a browser reads it: Chromium opens the file, and is asked what it sees.

mod sample;

#[test]
fn writes_samples() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("html");
    std::fs::create_dir_all(&directory).expect("it can be made");
    for (name, results) in [
        ("cluster", sample::cluster()),
        ("incomplete", sample::incomplete()),
        ("compared", sample::compared()),
        ("manifests", sample::manifests()),
    ] {
        let start = std::time::Instant::now();
        let page = podgate::output::html::render(&results);
        println!(
            "{name}: {} bytes in {:?}, {} findings",
            page.len(),
            start.elapsed(),
            results.summary.findings
        );
        std::fs::write(directory.join(format!("{name}.html")), page).expect("it can be written");
    }
}
