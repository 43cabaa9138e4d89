//! Taking apart what the fuzzer gives.

use std::net::SocketAddr;

/// The bytes that are left. Where there are none, everything is zero or empty.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// The next `length` bytes, or as many as there are.
    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Some bytes after their length.
    pub(crate) fn short(&mut self) -> &'a [u8] {
        let length = self.u8();
        self.take(usize::from(length))
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.u8()) % choices.len()]
    }

    /// A client: four on IPv4 and two on IPv6.
    pub(crate) fn client(&mut self) -> SocketAddr {
        const CLIENTS: [&str; 6] = [
            "203.0.113.1:1000",
            "203.0.113.1:1001",
            "203.0.113.2:1000",
            "203.0.113.3:1000",
            "[2001:db8:1::1]:1000",
            "[2001:db8:1::2]:1000",
        ];
        self.pick(&CLIENTS).parse().expect("an address")
    }
}
