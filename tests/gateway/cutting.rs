//! A proxy that cuts every connection, sooner or later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Counts what was cut.
pub(crate) type Cuts = Arc<AtomicU64>;

/// A proxy to `server`. Each connection is cut, in both directions and in the midst of whatever
/// is under way, after a number of bytes drawn from 1 to `bytes`.
pub(crate) async fn cutting_proxy(server: SocketAddr, bytes: u64, seed: u64) -> (SocketAddr, Cuts) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let cuts = Cuts::default();
    let counted = Arc::clone(&cuts);
    tokio::spawn(async move {
        let mut random = seed;
        while let Ok((client, _)) = listener.accept().await {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let budget = Arc::new(AtomicU64::new((random >> 33) % bytes + 1));
            tokio::spawn(carry(client, server, budget, Arc::clone(&counted)));
        }
    });
    (address, cuts)
}

async fn carry(client: TcpStream, server: SocketAddr, budget: Arc<AtomicU64>, cuts: Cuts) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
        // What is cut is reset: nothing in the system's buffers still arrives.
        let _ = stream.set_zero_linger();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let was_cut = tokio::select! {
        was_cut = forward(from_client, to_server, &budget) => was_cut,
        was_cut = forward(from_server, to_client, &budget) => was_cut,
    };
    cuts.fetch_add(u64::from(was_cut), Ordering::Relaxed);
}

/// Whether it ended by a cut.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, budget: &AtomicU64) -> bool {
    let mut buffer = vec![0; 4_096];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return false;
        };
        let before = budget.load(Ordering::Relaxed);
        let passed = before.min(length as u64);
        budget.store(before - passed, Ordering::Relaxed);
        let written = to.write_all(&buffer[..passed as usize]).await;
        if written.is_err() {
            return false;
        }
        if before == passed {
            return true;
        }
    }
}
