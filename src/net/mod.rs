//! What the operating system gives: sockets and the clock. The only `unsafe` lives here.

mod admission;
mod alarm;
mod bulk;
mod clock;
mod dtls;
mod interfaces;
mod tcp;
mod tls;
mod udp;

pub use admission::{Admission, Place, network};
pub use alarm::Alarm;
pub use bulk::Bulk;
pub use clock::Clock;
pub use dtls::{
    ClientHello, Cookies, DtlsConfig, DtlsFailed, DtlsIdentity, DtlsOutput, DtlsSession, Refusal,
    UnfitKey, VERIFY_REQUEST,
};
pub use interfaces::{broadcast_addresses, local_addresses};
pub use tcp::{connect_tcp, listen_relayed_tcp, listen_tcp};
pub use tls::{TlsConfig, TlsFailed, TlsSession};
pub use udp::{
    Arrived, Buffers, Outgoing, ReceiveBatch, SendBatch, SendSpace, Sent, UdpSocket, Undelivered,
};
