//! Ports for the servers.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// One at which `bind` succeeds, below the ports that clients and relayed addresses get.
pub(crate) fn free_port<T>(bind: impl Fn(u16) -> io::Result<T>) -> io::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        match bind(port) {
            Ok(_) => return Ok(port),
            Err(error) if port > 30_000 => return Err(error),
            Err(_) => {}
        }
    }
}
