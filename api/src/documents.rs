//! Pages that show the OpenAPI document: Swagger UI and ReDoc, part of the program.
//!
//! `assets/vendor` holds the bundles as they were published, `assets/documents` what is ours.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::assets::{self, File, Packed};
use crate::openapi;
use crate::routes::BASE;

/// The document.
pub const DOCUMENT: &str = "/openapi.json";

/// It in Swagger UI; what both pages need lies below it.
pub const SWAGGER: &str = "/docs";

/// It in ReDoc.
pub const REDOC: &str = "/redoc";

macro_rules! files {
    ($($folder:literal $name:literal)+) => {
        &[$(File { name: $name, text: include_str!(concat!("../assets/", $folder, "/", $name)) }),+]
    };
}

/// What the pages need.
static FILES: &[File] = files! {
    "vendor/swagger-ui" "swagger-ui-bundle.js"
    "vendor/swagger-ui" "swagger-ui.css"
    "vendor/redoc" "redoc.standalone.js"
    "documents" "swagger.js"
    "documents" "before-redoc.js"
    "documents" "redoc.js"
    "documents" "redoc.css"
};

static PACKED: [Packed; 7] = [const { Packed::new() }; 7];

static PACKED_DOCUMENT: Packed = Packed::new();

static VERSION: LazyLock<String> = LazyLock::new(|| assets::version_of(FILES));

/// The page with Swagger UI.
pub fn swagger() -> String {
    include_str!("../assets/documents/swagger.html").replace("{version}", &VERSION)
}

/// The page with ReDoc, whose style elements have this nonce.
pub fn redoc(nonce: &str) -> String {
    let page = include_str!("../assets/documents/redoc.html").replace("{version}", &VERSION);
    page.replace("{nonce}", nonce)
}

/// The file of that name as it is and as gzip, and whether the version is this program's.
pub fn find(version: &str, name: &str) -> Option<(&'static File, &'static Packed, bool)> {
    let (file, packed) = FILES.iter().zip(&PACKED).find(|(file, _)| file.name == name)?;
    Some((file, packed, version == *VERSION))
}

/// The document as gzip.
pub fn packed_document() -> Bytes {
    PACKED_DOCUMENT.gzip(openapi::text())
}

/// Whether a path is that of one of these below the base, where everything else needs a proof.
pub fn is_document(path: &str) -> bool {
    let Some(rest) = path.strip_prefix(BASE) else { return false };
    let below = rest.strip_prefix(SWAGGER).and_then(|rest| rest.strip_prefix('/'));
    let file = below.and_then(|below| below.split_once('/'));
    [DOCUMENT, SWAGGER, REDOC].contains(&rest)
        || file.is_some_and(|(version, name)| !version.is_empty() && is_name(name))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_are_told_from_everything_else() {
        for path in
            ["/api/v1/openapi.json", "/api/v1/docs", "/api/v1/redoc", "/api/v1/docs/x/no-such.js"]
        {
            assert!(is_document(path), "{path}");
        }
        for path in [
            "/api/v1",
            "/api/v1/logs",
            "/api/v1/docs/",
            "/api/v1/docs/x",
            "/api/v1/docs/x/",
            "/api/v1/docs//redoc.js",
            "/api/v1/docs/x/y/redoc.js",
            "/api/v1/redoc/x",
            "/openapi.json",
        ] {
            assert!(!is_document(path), "{path}");
        }
    }

    #[test]
    fn the_pages_name_their_version_and_nothing_is_left_to_fill_in() {
        for page in [swagger(), redoc("n")] {
            assert!(page.contains(&format!("docs/{}/", *VERSION)), "{page}");
            assert!(!page.contains('{'), "{page}");
        }
    }
}
