//! What fuzzing has found goes through the same functions again in every test run.
//! `make fuzz` looks for more.

use std::fs;
use std::path::Path;

#[path = "fuzz/targets/mod.rs"]
mod targets;

#[test]
fn every_input_of_the_corpora_is_handled() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpora");
    for &(name, run) in targets::TARGETS {
        let inputs: Vec<_> = fs::read_dir(corpora.join(name))
            .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"))
            .map(|entry| entry.expect("it can be listed").path())
            .collect();
        assert!(inputs.len() > 5, "the corpus of {name} is no corpus");
        for path in inputs {
            let input = fs::read(&path).expect("it can be read");
            // The name of the file tells which input it was.
            println!("{}", path.display());
            run(&input);
        }
    }
}

#[test]
fn no_input_is_handled_too() {
    for (_, run) in targets::TARGETS {
        run(&[]);
    }
}
