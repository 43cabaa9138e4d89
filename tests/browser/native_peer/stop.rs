//! When to leave.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Resolves when stdin ends or a signal asks this process to stop.
pub(crate) async fn requested() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = end_of_stdin() => {}
    }
}

async fn end_of_stdin() {
    let (ended, waiting) = oneshot::channel::<()>();
    // A thread of its own: a read of stdin cannot be called off, and must not hold up the exit.
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        drop(ended);
    });
    drop(waiting.await);
}
