//! Says when the page within the binary is out of date.

use std::path::Path;

fn main() {
    // A path that does not exist would count as changed each time. Until the page is built, the
    // folder that it will appear in is watched instead.
    let watched = ["web/app/dist", "web/app", "build.rs"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    println!("cargo::rerun-if-changed={}", watched.unwrap_or("build.rs"));
}
