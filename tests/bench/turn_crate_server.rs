//! The `turn` crate's server with one static user, to compare with.
//!
//! `turn-crate-server LISTEN REALM USER PASSWORD`

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use turn::auth::{AuthHandler, generate_auth_key};
use turn::relay::relay_static::RelayAddressGeneratorStatic;
use turn::server::Server;
use turn::server::config::{ConnConfig, ServerConfig};
use webrtc_util::vnet::net::Net;

type Error = Box<dyn std::error::Error>;

struct OneUser {
    username: String,
    key: Vec<u8>,
}

impl AuthHandler for OneUser {
    fn auth_handle(
        &self,
        username: &str,
        _realm: &str,
        _source: SocketAddr,
    ) -> Result<Vec<u8>, turn::Error> {
        if username == self.username {
            Ok(self.key.clone())
        } else {
            Err(turn::Error::ErrNoSuchUser)
        }
    }
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, realm, username, password] = arguments.as_slice() else {
        return Err("usage: turn-crate-server LISTEN REALM USER PASSWORD".into());
    };
    let listen: SocketAddr = listen.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(listen, realm, username, password))
}

async fn serve(
    listen: SocketAddr,
    realm: &str,
    username: &str,
    password: &str,
) -> Result<(), Error> {
    let relay_address: IpAddr = listen.ip();
    let _server = Server::new(ServerConfig {
        conn_configs: vec![ConnConfig {
            conn: Arc::new(UdpSocket::bind(listen).await?),
            relay_addr_generator: Box::new(RelayAddressGeneratorStatic {
                relay_address,
                address: relay_address.to_string(),
                net: Arc::new(Net::new(None)),
            }),
        }],
        realm: realm.to_owned(),
        auth_handler: Arc::new(OneUser {
            username: username.to_owned(),
            key: generate_auth_key(username, realm, password),
        }),
        channel_bind_timeout: Duration::ZERO,
        alloc_close_notify: None,
    })
    .await?;
    std::future::pending::<()>().await;
    Ok(())
}
