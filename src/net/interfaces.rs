//! The addresses of this machine.

use std::io;
use std::net::IpAddr;

/// Every address of every interface, loopback included.
///
/// # Errors
/// If the operating system does not tell.
pub fn local_addresses() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?
        .iter()
        .map(if_addrs::Interface::ip)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_them() {
        let addresses = local_addresses().expect("the system tells");
        assert!(addresses.iter().any(IpAddr::is_loopback));
    }
}
