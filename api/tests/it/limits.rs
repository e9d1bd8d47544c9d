//! Each limit has its line in docs/limits.md.

use std::fs;
use std::path::{Path, PathBuf};

/// What names of limits end with.
const ENDINGS: [&str; 3] = ["_MAX", "_TIMEOUT", "_WITHIN"];

const SOURCES: [&str; 4] = ["api/src", "domain/src", "search/src", "indexer-lambda/src"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The names of a file's constants that bound something, its tests aside.
fn limits(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let constants = code.lines().filter_map(|line| line.split_once("const ")?.1.split_once(": "));
    constants.map(|(name, _)| name).filter(|name| ENDINGS.iter().any(|end| name.ends_with(end)))
}

#[test]
fn each_limit_of_the_code_has_its_line_in_the_documentation() {
    let documented = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let mut missing = Vec::new();
    let mut seen = 0;
    for source in SOURCES {
        let source = root().join(source);
        let mut files = Vec::new();
        files_below(&source, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            // A line may stand for all that its file has.
            let name = file.file_name().unwrap().to_str().unwrap();
            let is_named = name != "mod.rs" && documented.contains(&format!("{name}`"));
            let told = |limit: &&str| is_named || documented.contains(&format!("{limit}`"));
            seen += limits(&text).count();
            let of_file = file.strip_prefix(&source).unwrap().display();
            missing.extend(
                limits(&text)
                    .filter(|limit| !told(limit))
                    .map(|limit| format!("{of_file}: {limit}")),
            );
        }
    }
    assert!(seen > 150, "{seen} limits: they are not found any more");
    assert!(missing.is_empty(), "not in docs/limits.md:\n{}", missing.join("\n"));
}
