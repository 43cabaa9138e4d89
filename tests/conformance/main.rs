//! The relay as clients see it that are not ours: the `stun` and `turn` crates, coturn's tools,
//! aioice and Pion's client; and a client that says whatever a test wants it to. Everything goes
//! through real sockets.

mod abuse;
mod answer;
mod audit;
mod churn;
mod client;
mod coturn_abuse;
mod coturn_tools;
mod dtls;
mod dtls_client;
mod foreign;
mod http;
mod ledger;
mod limits;
mod login;
mod minting;
mod overload;
mod peers;
mod prober;
mod process;
#[path = "../foreign/mod.rs"]
mod programs;
mod proxy;
mod relay;
mod reload;
mod revoking;
mod rfc5780;
mod rfc6062;
mod rfc6062_abuse;
mod rfc7635;
mod rfc8016;
mod rfc8489;
mod rfc8489_messages;
mod rfc8656;
mod rfc8656_headers;
mod rfc8656_icmp;
mod rfc8656_requests;
mod rooms;
mod stun_crate;
mod tcp;
mod tcp_peer;
mod tls;
mod turn_client_proto;
mod turn_crate;
mod workers;
