//! Files of the state directory that lines are added to, and that are written anew without what
//! is of no use any more.

use std::fs::{self, File};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::time::Duration;

use tracing::warn;

use super::state::{StateDirectory, StateError};

/// A file with fewer lines is left as it is.
const FEW: usize = 1_024;
/// No file has more lines that are of use.
const MOST: usize = 100_000;

/// What a line says.
pub(super) trait Entry: Sized {
    /// Reads a line; `None` if it is none of these.
    fn read(line: &[u8]) -> Option<Self>;
    /// The line, without its end.
    fn line(&self) -> String;
    /// Until when it is of use, in time since 1970.
    fn until(&self) -> Duration;
}

/// Such a file. It is made with its first line.
#[derive(Debug)]
pub(super) struct Journal<E> {
    state: StateDirectory,
    name: &'static str,
    /// Where the next line goes; `None` before the first, and after one that failed.
    end: Option<File>,
    lines: usize,
    /// With more lines than this it is written anew.
    crowded: usize,
    entries: PhantomData<fn() -> E>,
}

impl<E: Entry> Journal<E> {
    /// The file of this name, and what of it is of use at `now`, in time since 1970.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is damaged. A last line without an end is no damage:
    /// writing it was interrupted, and nobody was told that it is kept.
    pub(super) fn open(
        state: &StateDirectory,
        name: &'static str,
        now: Duration,
    ) -> Result<(Self, Vec<E>), StateError> {
        let journal = Self {
            state: state.clone(),
            name,
            end: None,
            lines: 0,
            crowded: 0,
            entries: PhantomData,
        };
        let known = journal.read(now)?;
        Ok((journal, known))
    }

    /// Adds lines. They are on the disk when this returns.
    ///
    /// # Errors
    /// If they cannot be written, or the file has as many lines as may be.
    pub(super) fn add(&mut self, entries: &[E], now: Duration) -> Result<(), StateError> {
        if self.end.is_none() || self.lines + entries.len() > self.crowded {
            self.write_anew(now)?;
        }
        if self.lines + entries.len() > MOST {
            let full = io::Error::other(format!("it has {MOST} lines, and no room for more"));
            return Err(self.state.error(self.name, full));
        }
        let mut end = match self.end.take() {
            Some(end) => end,
            None => self.state.end_of(self.name)?,
        };
        let written = end
            .write_all(text(entries).as_bytes())
            .and_then(|()| end.sync_data());
        written.map_err(|error| self.state.error(self.name, error))?;
        self.end = Some(end);
        self.lines += entries.len();
        Ok(())
    }

    /// Leaves out what is of no use any more, and what was written in part.
    fn write_anew(&mut self, now: Duration) -> Result<(), StateError> {
        let known = self.read(now)?;
        self.state.write(self.name, &text(&known))?;
        self.end = None;
        self.lines = known.len();
        self.crowded = FEW.max(2 * known.len());
        Ok(())
    }

    fn read(&self, now: Duration) -> Result<Vec<E>, StateError> {
        let bytes = match fs::read(self.state.file(self.name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.state.error(self.name, error)),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let (whole, rest) = bytes.split_at(whole.map_or(0, |end| end + 1));
        if !rest.is_empty() {
            let path = self.state.file(self.name);
            let path = path.display();
            warn!("the last line of {path} was not written to its end, and is left out");
        }
        let mut known = Vec::new();
        let lines = whole.split(|byte| *byte == b'\n');
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let entry = E::read(line).ok_or_else(|| {
                let damage = format!("line {} is damaged", index + 1);
                let damage = io::Error::new(io::ErrorKind::InvalidData, damage);
                self.state.error(self.name, damage)
            })?;
            known.push(entry);
        }
        known.retain(|entry| entry.until() > now);
        Ok(known)
    }
}

fn text<E: Entry>(entries: &[E]) -> String {
    entries.iter().map(|entry| entry.line() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until when it is of use, in seconds.
    #[derive(Debug, PartialEq)]
    struct Number(u64);

    impl Entry for Number {
        fn read(line: &[u8]) -> Option<Self> {
            std::str::from_utf8(line).ok()?.parse().ok().map(Self)
        }

        fn line(&self) -> String {
            self.0.to_string()
        }

        fn until(&self) -> Duration {
            Duration::from_secs(self.0)
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn folder() -> (tempfile::TempDir, StateDirectory) {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(folder.path()).expect("made");
        (folder, state)
    }

    fn open(state: &StateDirectory, now: u64) -> (Journal<Number>, Vec<Number>) {
        Journal::open(state, "numbers", at(now)).expect("whole")
    }

    #[test]
    fn what_was_added_is_there_for_as_long_as_it_is_of_use() {
        let (_folder, state) = folder();
        let (mut journal, known) = open(&state, 0);
        assert!(known.is_empty() && !state.file("numbers").exists());
        journal.add(&[Number(5), Number(9)], at(1)).expect("added");
        journal.add(&[Number(7)], at(2)).expect("added");
        assert_eq!(open(&state, 4).1, [Number(5), Number(9), Number(7)]);
        let (mut journal, known) = open(&state, 7);
        assert_eq!(known, [Number(9)]);
        journal.add(&[Number(20)], at(8)).expect("added");
        let text = state.read("numbers").expect("read").expect("there");
        assert_eq!(text, "9\n20\n");
    }

    #[test]
    fn a_line_that_was_written_in_part_is_left_out_and_does_not_spoil_the_next() {
        let (_folder, state) = folder();
        for rest in ["1", "12\n3\u{e4}"] {
            std::fs::write(state.file("numbers"), format!("8\n{rest}")).expect("written");
            let (mut journal, known) = open(&state, 0);
            let whole = 1 + rest.matches('\n').count();
            assert_eq!(known.len(), whole);
            journal.add(&[Number(6)], at(1)).expect("added");
            assert_eq!(open(&state, 0).1.len(), whole + 1);
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let (_folder, state) = folder();
        for damaged in ["8\nx\n9\n", "8\n\u{0}\u{0}\n"] {
            std::fs::write(state.file("numbers"), damaged).expect("written");
            let error = Journal::<Number>::open(&state, "numbers", at(0)).expect_err("damaged");
            let text = error.to_string();
            assert!(
                text.contains("numbers: line 2 is damaged; mend it"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_with_many_lines_is_written_anew_and_never_has_too_many() {
        let (_folder, state) = folder();
        let (mut journal, _) = open(&state, 0);
        for now in 0..30 {
            let hundred: Vec<_> = (0..100).map(|_| Number(now + 1)).collect();
            journal.add(&hundred, at(now)).expect("added");
        }
        let text = state.read("numbers").expect("read").expect("there");
        assert!(text.lines().count() <= FEW, "{}", text.lines().count());
        let many: Vec<_> = (0..MOST).map(|_| Number(9_000)).collect();
        journal.add(&many, at(8_000)).expect("room for all");
        let error = journal.add(&[Number(9_000)], at(8_000)).expect_err("full");
        assert!(error.to_string().contains("no room"), "{error}");
        journal
            .add(&[Number(9_999)], at(9_000))
            .expect("room again");
        assert_eq!(open(&state, 9_000).1, [Number(9_999)]);
    }
}
