//! The page, its headers, and what is not served.

use std::fs;
use std::path::Path;

use crate::client::{get, get_by_tls, request};
use crate::process::Server;

const FIXED: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob:; font-src 'self'; connect-src 'self' ws://localhost wss://localhost; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types peerage",
    ),
];

#[test]
fn every_answer_has_the_security_headers() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut answers = Vec::new();
    for (method, path, status) in [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
        ("DELETE", "/healthz", 405),
        ("TRACE", "/", 405),
        ("OPTIONS", "/", 405),
    ] {
        let answer = request(server.http, method, path, "");
        assert_eq!(answer.status, status, "{method} {path}");
        answers.push(answer);
    }
    answers.push(get(server.metrics, "/metrics"));
    answers.push(get(server.metrics, "/nothing"));
    answers.push(get_by_tls(server.https, &state.path().join("ca.pem"), "/nothing").0);
    for answer in answers {
        for (name, value) in FIXED {
            assert_eq!(answer.header(name), value, "{name} of {answer:?}");
        }
        assert!(
            answer
                .header("permissions-policy")
                .contains("camera=(self), microphone=(self)")
        );
        for absent in ["server", "set-cookie", "access-control-allow-origin"] {
            assert_eq!(answer.header(absent), "", "{answer:?}");
        }
        // Never with the local CA.
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[test]
fn without_a_page_it_says_how_to_build_one() {
    let state = tempfile::tempdir().expect("a folder");
    let empty = state.path().join("empty");
    fs::create_dir(&empty).expect("made");
    let server = Server::start(
        state.path(),
        &["--web-root", empty.to_str().expect("plain")],
    );
    let page = get(server.http, "/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
    assert!(page.body.contains("npm run build") && page.body.contains("--web-root"));
}

fn folder(root: &Path) -> String {
    let web = root.join("web");
    fs::create_dir_all(web.join("assets")).expect("made");
    fs::write(web.join("index.html"), "<!doctype html><p>hello").expect("written");
    fs::write(web.join("assets/index-BkXw3q_9.js"), "1").expect("written");
    fs::write(web.join("icon.svg"), "<svg/>").expect("written");
    fs::write(web.join(".hidden"), "hush").expect("written");
    fs::write(root.join("outside.txt"), "hush").expect("written");
    web.to_str().expect("plain").to_owned()
}

#[test]
fn a_folder_is_served_with_types_and_caching() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &["--web-root", &folder(state.path())]);
    for (path, kind, cache) in [
        ("/", "text/html; charset=utf-8", "no-store"),
        ("/index.html", "text/html; charset=utf-8", "no-store"),
        (
            "/assets/index-BkXw3q_9.js",
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
        ("/icon.svg?v=1", "image/svg+xml", "no-cache"),
    ] {
        let answer = get(server.http, path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), kind, "{path}");
        assert_eq!(answer.header("cache-control"), cache, "{path}");
        let known = format!("If-None-Match: \"x\", W/{}\r\n", answer.header("etag"));
        let again = request(server.http, "GET", path, &known);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), answer.header("etag"));
    }
    let head = request(server.http, "HEAD", "/", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), "23");
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &["--web-root", &folder(state.path())]);
    for path in [
        "/../outside.txt",
        "/..%2foutside.txt",
        "/..%2Foutside.txt",
        "/%2e%2e/outside.txt",
        "/%2e%2e%2foutside.txt",
        "/%252e%252e%252foutside.txt",
        "/..%5coutside.txt",
        "/..\\outside.txt",
        "/assets/../../outside.txt",
        "/assets/..%2f..%2foutside.txt",
        "/..%c0%afoutside.txt",
        "/..%00/outside.txt",
        "/....//outside.txt",
        "/.;/outside.txt",
        "//outside.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/%2fetc%2fpasswd",
        "/.hidden",
        "/assets",
        "/assets/",
        "/./icon.svg",
        "/index.html/",
        "/index.html%00.js",
        "/icon.svg%20",
        "/C:/windows/win.ini",
        "/file:///etc/passwd",
    ] {
        let answer = get(server.http, path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, "not found\n"),
            "{path}"
        );
    }
}
