//! The internet of a test; `network.sh` lays it and shows it in a picture.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::processes::{run, try_run};

/// All namespaces of these tests begin so; the process's id comes next.
const PREFIX: &str = "peerage-nat-";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nat/network.sh");

/// What stands between a peer and the internet; `network.sh` says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    FullCone,
    PortRestricted,
    Symmetric,
    Ipv6,
}

impl Nat {
    fn name(self) -> &'static str {
        match self {
            Self::FullCone => "full-cone",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The server's address for whoever is behind it.
    pub(crate) fn server(self) -> &'static str {
        match self {
            Self::Ipv6 => "[2a01::1]",
            _ => "5.0.0.1",
        }
    }

    /// The address of the peer on side "a" behind it, or what stands for all.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Self::Ipv6 => "[2a01:1:1::2]:0",
            _ => "0.0.0.0:0",
        }
    }
}

/// Namespaces, which end with it.
pub(crate) struct Network {
    name: String,
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Network {
    pub(crate) fn lay(a: Nat, b: Nat) -> Self {
        static LAID: AtomicU32 = AtomicU32::new(0);
        remove_left_over();
        let number = LAID.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            name: format!("{PREFIX}{}-{number}", std::process::id()),
        };
        let script = ["lay", &network.name, a.name(), b.name()];
        run(Command::new(SCRIPT).args(script), "");
        network
    }

    /// The NAT of `side`, "a" or "b", loses its mappings.
    pub(crate) fn forget(&self, side: &str) {
        run(Command::new(SCRIPT).args(["forget", &self.name, side]), "");
    }

    /// The server's namespace has no way to what it does not know: sending there fails at once.
    pub(crate) fn remove_void(&self) {
        let internet = self.space("internet");
        run(
            Command::new("ip").args(["-n", &internet, "route", "delete", "default"]),
            "",
        );
    }

    /// The whole name of a namespace.
    pub(crate) fn space(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes what processes have left behind that were killed.
fn remove_left_over() {
    let Ok(spaces) = fs::read_dir("/run/netns") else {
        return;
    };
    for space in spaces.flatten() {
        let space = space.file_name().to_string_lossy().into_owned();
        let mut parts = space.strip_prefix(PREFIX).unwrap_or_default().split('-');
        if let (Some(pid), Some(number)) = (parts.next(), parts.next())
            && !Path::new("/proc").join(pid).exists()
        {
            remove(&format!("{PREFIX}{pid}-{number}"));
        }
    }
}

fn remove(name: &str) {
    // Two tests may be at it; what one has removed is gone for the other.
    let _ = try_run(Command::new(SCRIPT).args(["remove", name]), "");
}
