//! The board's files: part of the program, and under one version, so that browsers may keep them.
//!
//! They say nothing of any log. What a page shows, it asks for as every other client does.

use std::sync::LazyLock;

use crate::assets::{self, File};
use crate::routes::BASE;

/// The page's path below the base.
pub const PATH: &str = "/logs/board";

macro_rules! files {
    ($($name:literal)+) => {
        &[$(File { name: $name, text: include_str!(concat!("../assets/board/", $name)) }),+]
    };
}

macro_rules! sheets {
    ($($name:literal)+) => {
        /// The style sheets, in the order in which they count.
        #[cfg(test)]
        const SHEETS: &[&str] = &[$($name),+];

        /// All of them in one: a page is painted once the last has come.
        const SHEET: &str = concat!($(include_str!(concat!("../assets/board/", $name))),+);
    };
}

sheets! { "tokens.css" "page.css" "table.css" "panels.css" "drawer.css" }

/// All scripts; a test compares them with the folder.
static SCRIPTS: &[File] = files! {
    "start.js"
    "address.js" "api.js" "board.js" "counts.js" "curl.js" "diff.js" "diffview.js" "dom.js"
    "drawer.js" "export.js" "filter.js" "histogram.js" "json.js" "keys.js" "live.js" "main.js"
    "numbers.js" "pager.js" "query.js" "ranges.js" "reader.js" "related.js" "rows.js" "states.js"
    "status.js" "table.js" "text.js" "times.js" "tops.js"
};

static STYLE: File = File { name: "board.css", text: SHEET };

const PAGE: &str = include_str!("../assets/board/index.html");

/// Changes with any file.
static VERSION: LazyLock<String> = LazyLock::new(|| assets::version_of(files()));

/// The page, with the version in its links and all modules named: once it is painted they are asked
/// for together, and none waits for another.
static RENDERED: LazyLock<String> = LazyLock::new(|| {
    let modules = files().filter(|file| is_module(file));
    let links = modules.map(|file| {
        format!("<link rel=\"modulepreload\" href=\"board/{}/{}\">\n", *VERSION, file.name)
    });
    PAGE.replace("<!-- modules -->\n", &links.collect::<String>()).replace("{version}", &VERSION)
});

/// The script that decides about colours runs before anything is painted, the others after.
fn is_module(file: &File) -> bool {
    file.is_script() && file.name != "start.js"
}

fn files() -> impl Iterator<Item = &'static File> {
    SCRIPTS.iter().chain([&STYLE])
}

/// The page.
pub fn page() -> &'static str {
    &RENDERED
}

/// The file of that name, and whether the version is this program's.
pub fn find(version: &str, name: &str) -> Option<(&'static File, bool)> {
    let file = files().find(|file| file.name == name)?;
    Some((file, version == *VERSION))
}

/// Whether a path is that of the page or of one of its files.
pub fn is_board(path: &str) -> bool {
    let Some(rest) = path.strip_prefix(BASE).and_then(|rest| rest.strip_prefix(PATH)) else {
        return false;
    };
    let below = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    rest.is_empty() || below.is_some_and(|(version, name)| find(version, name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_part_of_the_program() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/board");
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let mut found: Vec<_> = entries
            .map(|entry| entry.expect("it can be read").file_name().into_string())
            .map(|name| name.expect("a plain name"))
            .filter(|name| name != "index.html")
            .collect();
        let scripts = SCRIPTS.iter().map(|file| file.name);
        let mut known: Vec<_> = scripts.chain(SHEETS.iter().copied()).collect();
        found.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, found);
    }

    #[test]
    fn the_page_and_its_files_are_told_from_everything_else() {
        for path in ["/api/v1/logs/board", "/api/v1/logs/board/x/main.js"] {
            assert!(is_board(path), "{path}");
        }
        for path in [
            "/api/v1/logs",
            "/api/v1/logs/board/",
            "/api/v1/logs/board/session",
            "/api/v1/logs/board/x/other.js",
            "/api/v1/logs/board/x/y/main.js",
            "/api/v1/logs/boards",
            "/logs/board",
        ] {
            assert!(!is_board(path), "{path}");
        }
    }

    #[test]
    fn the_page_names_its_version_and_nothing_is_left_to_fill_in() {
        assert!(page().contains(&format!("board/{}/main.js", *VERSION)));
        assert!(!page().contains('{') && !page().contains("<!-- modules"), "{}", page());
    }
}
