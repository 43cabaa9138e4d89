//! The files of the page: within the binary, or in a folder.

use std::borrow::Cow;
use std::path::PathBuf;

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use super::content_type::content_type;

/// The built page. The folder may be missing, so that `cargo build` works without Node.
#[derive(Embed)]
#[folder = "web/app/dist"]
#[allow_missing = true]
struct Page;

/// Said where no page was built in.
const NO_PAGE: &str = "\
This Peerage server was built without its page.

Build both with `make build` (it needs Node), or build the page by hand
    cd web && npm ci && npm run build
and then the server with `cargo build --release`, or serve the folder as it is with
    peerage serve --web-root web/app/dist

Signaling and the relay work without the page.
";

/// Where the page's files come from.
#[derive(Clone, Debug)]
pub(in crate::server) enum Assets {
    /// From within the binary.
    Embedded,
    /// From a folder.
    Folder(PathBuf),
}

struct Asset {
    bytes: Cow<'static, [u8]>,
    hash: [u8; 32],
}

impl Assets {
    /// Answers a request for a file of the page.
    pub(super) async fn respond(&self, request: &Parts) -> Response {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
        }
        let Some(path) = file_of(request.uri.path()) else {
            return not_found();
        };
        match self.read(path).await {
            Some(asset) => asset.respond(path, request),
            None if path == "index.html" => no_page(),
            None => not_found(),
        }
    }

    async fn read(&self, path: &str) -> Option<Asset> {
        match self {
            Self::Embedded => {
                let file = Page::get(path)?;
                Some(Asset {
                    hash: file.metadata.sha256_hash(),
                    bytes: file.data,
                })
            }
            Self::Folder(root) => {
                let (root, path) = (root.clone(), path.to_owned());
                let read = tokio::task::spawn_blocking(move || read_below(&root, &path));
                read.await.ok().flatten()
            }
        }
    }
}

impl Asset {
    fn respond(self, path: &str, request: &Parts) -> Response {
        let tag: String = self.hash[..16].iter().map(|b| format!("{b:02x}")).collect();
        let tag = format!("\"{tag}\"");
        let known = request.headers.get(IF_NONE_MATCH);
        let is_known = known
            .and_then(|known| known.to_str().ok())
            .is_some_and(|known| {
                known
                    .split(',')
                    .any(|known| known.trim().trim_start_matches("W/") == tag)
            });
        let headers = [
            (CONTENT_TYPE, content_type(path).to_owned()),
            (CACHE_CONTROL, cache_control(path).to_owned()),
            (ETAG, tag),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.bytes).into_response()
    }
}

/// Reads a file below `root`. A link that leads out of it is no file of the page.
fn read_below(root: &std::path::Path, path: &str) -> Option<Asset> {
    let root = root.canonicalize().ok()?;
    let file = root.join(path).canonicalize().ok()?;
    if !file.starts_with(&root) || !file.is_file() {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    Some(Asset {
        hash: Sha256::digest(&bytes).into(),
        bytes: bytes.into(),
    })
}

/// The file that a URL's path means. Only plain names have one: no escapes, no dots at the start
/// of a name, nothing that any file system reads as more than a name.
fn file_of(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    if path.is_empty() {
        return Some("index.html");
    }
    let is_plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && !name.ends_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~' | b'@'))
    };
    path.split('/').all(is_plain).then_some(path)
}

/// Names with a hash never change what they mean; HTML is asked for anew each time.
fn cache_control(path: &str) -> &'static str {
    if path.ends_with(".html") {
        "no-store"
    } else if has_hash(path) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

/// Whether a file is named as the bundler does, `assets/index-BkXw3q_9.js`.
fn has_hash(path: &str) -> bool {
    let Some(name) = path.strip_prefix("assets/") else {
        return false;
    };
    let stem = name.split('.').next().unwrap_or(name);
    let hash_at = stem.len().checked_sub(9);
    hash_at.is_some_and(|at| stem.get(at..).is_some_and(|hash| hash.starts_with('-')))
}

fn no_page() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, NO_PAGE).into_response()
}

fn not_found() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::NOT_FOUND, headers, "not found\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_mean_a_file() {
        assert_eq!(file_of("/"), Some("index.html"));
        assert_eq!(file_of("/assets/a-b_c.js"), Some("assets/a-b_c.js"));
        let wrong = [
            "",
            "//",
            "/..",
            "/../a",
            "/a/../b",
            "/./a",
            "/a//b",
            "/a/",
            "/.git/config",
            "/..%2fa",
            "/%2e%2e/a",
            "/a\\b",
            "/c:",
            "/a\0",
            "/a%00",
            "/a b",
            "/con.",
            "*",
        ];
        for wrong in wrong {
            assert_eq!(file_of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_hashed_names_are_kept_for_good() {
        assert!(cache_control("assets/index-BkXw3q_9.js").contains("immutable"));
        assert!(cache_control("assets/index--kXw3q_9.css").contains("immutable"));
        assert_eq!(cache_control("assets/logo.svg"), "no-cache");
        assert_eq!(cache_control("favicon.ico"), "no-cache");
        assert_eq!(cache_control("index.html"), "no-store");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_out_of_the_folder_is_not_followed() {
        let outside = tempfile::tempdir().expect("a folder");
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(outside.path().join("secret"), "x").expect("written");
        std::fs::write(root.path().join("file"), "y").expect("written");
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("link"))
            .expect("linked");
        assert!(read_below(root.path(), "file").is_some());
        assert!(read_below(root.path(), "link").is_none());
    }
}
