//! The targets, for the binaries in fuzz_targets/.

mod targets;

/// Runs the target `name` on `input`.
///
/// # Panics
/// If something is wrong with what is fuzzed, or there is no such target.
pub fn run(name: &str, input: &[u8]) {
    let target = targets::TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("each binary names a target").1(input);
}
