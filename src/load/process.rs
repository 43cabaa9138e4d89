//! What a process has taken of the machine, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// A process whose use of CPU and memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    /// If there is none, or the system has no `/proc`.
    pub fn new(id: u32) -> io::Result<Self> {
        let this = Self(id);
        this.cpu()?;
        Ok(this)
    }

    /// CPU time in user space and in the kernel, of all threads that live.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let path = thread?.path().join("schedstat");
            // A thread may end between the two reads.
            let text = fs::read_to_string(path).unwrap_or_default();
            nanoseconds += first_number(&text).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Bytes in memory.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(first_number);
        Ok(kibibytes.ok_or(io::ErrorKind::InvalidData)? * 1_024)
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_both() {
        let this = Process::new(std::process::id()).expect("it runs");
        assert!(this.resident().expect("it runs") > 100_000);
        assert!(Process::new(u32::MAX).is_err());
    }
}
