//! The folder in which the server keeps what it generates.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::auth::Secret;

/// The state directory. Its files are readable by the server's user alone.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
}

/// Why state could not be read or written.
#[derive(Debug)]
pub struct StateError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the operating system says.
    pub source: io::Error,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let remedy = match self.source.kind() {
            io::ErrorKind::InvalidData => "mend it, or strike out what is damaged",
            _ => "change state_directory",
        };
        write!(f, "cannot use {path}: {}; {remedy}", self.source)
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl StateDirectory {
    /// Opens the folder and makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| StateError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The text of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// If there is one and it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        match fs::read_to_string(self.file(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.error(name, source)),
        }
    }

    /// The end of a file, for lines that are added to it. It is made if it is not there.
    ///
    /// # Errors
    /// If it can be neither opened nor made.
    pub fn end_of(&self, name: &str) -> Result<File, StateError> {
        let opened = private(OpenOptions::new().append(true)).open(self.file(name));
        opened.map_err(|source| self.error(name, source))
    }

    /// Writes a file as a whole: after a crash there is the old one or the new one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), StateError> {
        let temporary = self.file(&format!("{name}.{}.new", std::process::id()));
        let written = private_file(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, self.file(name))
        });
        written.map_err(|source| {
            // What is left of the attempt is of no use; the error that matters is the first.
            drop(fs::remove_file(&temporary));
            self.error(name, source)
        })
    }

    /// The secret kept under `name`; made up and kept if there is none.
    ///
    /// # Errors
    /// If it can be neither read nor written.
    pub fn secret(&self, name: &str) -> Result<Secret, StateError> {
        if let Some(kept) = self.read(name)? {
            let kept = kept.trim();
            if !kept.is_empty() {
                return Ok(Secret::new(kept));
            }
        }
        self.make_secret(name)
    }

    /// The secrets kept under `name`, one a line, the newest first; one made up and kept if there
    /// is none.
    ///
    /// # Errors
    /// If they can be neither read nor written.
    pub fn secrets(&self, name: &str) -> Result<Vec<Secret>, StateError> {
        let kept = self.read(name)?.unwrap_or_default();
        let lines = kept.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<_> = lines.map(Secret::new).collect();
        if secrets.is_empty() {
            return Ok(vec![self.make_secret(name)?]);
        }
        Ok(secrets)
    }

    fn make_secret(&self, name: &str) -> Result<Secret, StateError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| self.error(name, io::Error::other(error.to_string())))?;
        let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.write(name, &format!("{secret}\n"))?;
        Ok(Secret::new(secret))
    }

    /// What has gone wrong with a file.
    pub(super) fn error(&self, name: &str, source: io::Error) -> StateError {
        StateError {
            path: self.file(name),
            source,
        }
    }
}

/// Makes a file that only its owner can read.
fn private_file(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).truncate(true)).open(path)
}

/// Such a file is made if it is not there.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Where state is kept when nobody says otherwise: the user's data directory.
#[must_use]
pub fn default_directory(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let folder = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if cfg!(windows) {
        folder("LOCALAPPDATA").map(|path| path.join("peerage"))
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Application Support/peerage"))
    } else {
        folder("XDG_DATA_HOME")
            .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
            .map(|path| path.join("peerage"))
    }
    .unwrap_or_else(|| PathBuf::from("/var/lib/peerage"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(&folder.path().join("a/b")).expect("made");
        let first = state.secret("turn-secret").expect("made");
        assert_eq!(state.secret("turn-secret").expect("kept"), first);
        assert_eq!(first.expose().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let metadata = fs::metadata(state.file("turn-secret")).expect("there");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn of_several_secrets_the_first_line_is_the_newest() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(folder.path()).expect("made");
        let made = state.secrets("ticket-keys").expect("made");
        assert_eq!(state.secrets("ticket-keys").expect("kept"), made);
        let rotated = format!("north\n\n{}\n", made[0].expose());
        state.write("ticket-keys", &rotated).expect("written");
        let kept = state.secrets("ticket-keys").expect("kept");
        assert_eq!(kept, [Secret::new("north"), made[0].clone()]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_default_is_the_users_data_directory() {
        let at = |name: &'static str, value: &'static str| {
            default_directory(move |asked| (asked == name).then(|| value.into()))
        };
        assert_eq!(
            at("HOME", "/home/a"),
            Path::new("/home/a/.local/share/peerage")
        );
        assert_eq!(at("XDG_DATA_HOME", "/data"), Path::new("/data/peerage"));
        assert_eq!(at("HOME", ""), Path::new("/var/lib/peerage"));
    }
}
