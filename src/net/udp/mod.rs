//! UDP in batches: many datagrams a system call, in both directions.
//!
//! | what the kernel has | what it saves | where it is missing |
//! |---|---|---|
//! | `recvmmsg`, `sendmmsg` | a system call a datagram | one call a datagram |
//! | `UDP_GRO` | the way through the stack for each datagram of a train | trains come as single datagrams |
//! | `UDP_SEGMENT` | likewise on the way out | trains are sent as single datagrams |
//!
//! A *train* is a run of datagrams of one size (the last may be shorter) between two addresses.
//! Payload bytes are never copied here: what is sent is gathered from where it lies.

mod address;
mod control;
mod errors;
mod receive;
mod send;
mod socket;

pub use errors::Undelivered;
pub use receive::{Arrived, ReceiveBatch};
pub use send::{Outgoing, SendBatch, SendSpace, Sent};
pub use socket::{Buffers, UdpSocket};

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::net::SocketAddr;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn relay(ip: &str) -> UdpSocket {
        UdpSocket::relay(SocketAddr::new(ip.parse().expect("an address"), 0)).expect("bound")
    }

    /// Everything that arrives until `count` datagrams have: sender, place of arrival, bytes.
    fn receive(socket: &UdpSocket, count: usize) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut batch = ReceiveBatch::new(8);
        let mut received = Vec::new();
        while received.len() < count {
            batch.clear();
            match batch.receive(socket, 8) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            }
            for number in 0..batch.len() {
                let arrived = batch.arrived(number).expect("from an IP address");
                let datagrams = arrived.datagrams();
                received.extend(datagrams.map(|bytes| (arrived.from, arrived.to, bytes.to_vec())));
            }
        }
        received
    }

    fn send(
        socket: &UdpSocket,
        space: &mut SendSpace,
        to: SocketAddr,
        datagrams: &[&[u8]],
    ) -> Sent {
        let mut batch = space.batch();
        for payload in datagrams {
            batch.push(Outgoing {
                to,
                from: None,
                prefix: b"",
                payload,
                padding: 0,
            });
        }
        batch.send(socket)
    }

    fn counts(outcome: Sent) -> (u64, u64) {
        (outcome.sent, outcome.unsent)
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        for (wildcard, own, asked) in [
            ("0.0.0.0:0", "127.0.0.1", "127.0.0.77"),
            ("[::]:0", "::1", "::1"),
        ] {
            let server = UdpSocket::listen(address(wildcard), false).expect("bound");
            let client = relay(own);
            let to = SocketAddr::new(asked.parse().expect("an address"), server.local().port());
            let mut space = SendSpace::new(true);
            send(&client, &mut space, to, &[b"ask"]);
            assert_eq!(receive(&server, 1), [(client.local(), to, b"ask".to_vec())]);
            let mut batch = space.batch();
            let (to, from) = (client.local(), Some(to.ip()));
            batch.push(Outgoing {
                to,
                from,
                prefix: b"",
                payload: b"answer",
                padding: 0,
            });
            assert_eq!(counts(batch.send(&server)), (1, 0));
            let answers = receive(&client, 1);
            assert_eq!(answers[0].0.ip().to_string(), asked);
        }
    }

    #[test]
    fn trains_arrive_whole_and_in_order_whoever_can_cut_or_join_them() {
        for (cuts, joins) in [(false, false), (false, true), (true, false), (true, true)] {
            let (from, to) = (relay("127.0.0.1"), relay("127.0.0.1"));
            assert!(to.set_coalescing(joins) || cfg!(not(target_os = "linux")));
            let mut space = SendSpace::new(cuts && from.can_segment());
            // Two trains with a short last datagram, a longer single one, and an empty one.
            let lengths = [100, 100, 100, 40, 100, 100, 7, 500, 0, 100];
            let datagrams: Vec<Vec<u8>> = lengths
                .iter()
                .enumerate()
                .map(|(n, &length)| vec![n as u8; length])
                .collect();
            let slices: Vec<&[u8]> = datagrams.iter().map(Vec::as_slice).collect();
            let outcome = send(&from, &mut space, to.local(), &slices);
            assert_eq!(counts(outcome), (10, 0));
            let received = receive(&to, 10);
            let bytes: Vec<&[u8]> = received
                .iter()
                .map(|(_, _, bytes)| bytes.as_slice())
                .collect();
            assert_eq!(bytes, slices, "cuts {cuts}, joins {joins}");
        }
    }

    #[test]
    fn a_train_carries_a_prefix_and_padding_with_each_datagram() {
        let (from, to) = (relay("127.0.0.1"), relay("127.0.0.1"));
        let mut space = SendSpace::new(from.can_segment());
        let payloads = [[1; 5], [2; 5], [3; 5]];
        let mut batch = space.batch();
        for (number, payload) in payloads.iter().enumerate() {
            let prefix = [0xee, number as u8];
            let to = to.local();
            batch.push(Outgoing {
                to,
                from: None,
                prefix: &prefix,
                payload,
                padding: 1,
            });
        }
        assert_eq!(counts(batch.send(&from)), (3, 0));
        let received = receive(&to, 3);
        for (number, (_, _, bytes)) in received.iter().enumerate() {
            let n = number as u8;
            assert_eq!(bytes[..], [0xee, n, n + 1, n + 1, n + 1, n + 1, n + 1, 0]);
        }
    }

    /// Sends datagrams of one size with these traffic classes; gives with which they arrive.
    #[cfg(target_os = "linux")]
    fn classes_after_the_way(from: &UdpSocket, to: &UdpSocket, classes: &[u8]) -> Vec<u8> {
        let numbers: Vec<[u8; 100]> = (0..classes.len()).map(|n| [n as u8; 100]).collect();
        let mut space = SendSpace::new(from.can_segment());
        let mut batch = space.batch();
        for (class, payload) in classes.iter().zip(&numbers) {
            batch.set_traffic_class(*class);
            batch.push(Outgoing {
                to: to.local(),
                from: Some(to.local().ip()),
                prefix: b"",
                payload,
                padding: 0,
            });
        }
        assert_eq!(counts(batch.send(from)), (classes.len() as u64, 0));
        let (mut arrivals, mut arrived_with) = (ReceiveBatch::new(64), Vec::new());
        while arrived_with.len() < classes.len() {
            arrivals.clear();
            // Nothing is there yet, or something is.
            let _ = arrivals.receive(to, 64);
            for arrived in (0..arrivals.len()).filter_map(|number| arrivals.arrived(number)) {
                for datagram in arrived.datagrams() {
                    assert_eq!(datagram, numbers[arrived_with.len()], "in order");
                    arrived_with.push(arrived.traffic_class);
                }
            }
        }
        arrived_with
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn neighbours_of_one_size_keep_their_traffic_classes_in_trains_and_out_of_them() {
        let classes = [0, 0, 0xb8, 0xb8, 0xb8, 0x88, 0x8a, 0x8b, 0x01, 0xff, 0, 0];
        for (wildcard, ip) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
            let listener = UdpSocket::listen(address(wildcard), false).expect("bound");
            for (from, joins) in [
                (&listener, false),
                (&listener, true),
                (&relay(ip), false),
                (&relay(ip), true),
            ] {
                let to = relay(ip);
                to.tell_traffic_class().expect("Linux has it");
                assert!(to.set_coalescing(joins));
                assert_eq!(classes_after_the_way(from, &to, &classes), classes, "{ip}");
                let untold = relay(ip);
                let seen = classes_after_the_way(from, &untold, &classes);
                assert_eq!(seen, [0; 12], "{ip}");
            }
        }
    }

    #[test]
    fn the_largest_datagram_passes() {
        let (from, to) = (relay("127.0.0.1"), relay("127.0.0.1"));
        let bytes = vec![7; 65_507];
        let outcome = send(&from, &mut SendSpace::new(true), to.local(), &[&bytes]);
        assert_eq!(counts(outcome), (1, 0));
        assert_eq!(receive(&to, 1)[0].2, bytes);
    }

    #[test]
    fn what_the_system_refuses_is_counted_and_stops_nothing_else() {
        let too_long = vec![0; 65_508];
        let (from, to) = (relay("127.0.0.1"), relay("127.0.0.1"));
        let mut space = SendSpace::new(true);
        let mut batch = space.batch();
        for (to, payload) in [
            (to.local(), &b"one"[..]),
            (to.local(), &too_long),
            (address("[::1]:9"), b"of another family"),
            (to.local(), b"two"),
        ] {
            batch.push(Outgoing {
                to,
                from: None,
                prefix: b"",
                payload,
                padding: 0,
            });
        }
        assert_eq!(counts(batch.send(&from)), (2, 2));
        let received = receive(&to, 2);
        assert_eq!(
            (&received[0].2[..], &received[1].2[..]),
            (&b"one"[..], &b"two"[..])
        );
    }

    #[test]
    fn a_socket_without_datagrams_does_not_block() {
        let error = ReceiveBatch::new(1)
            .receive(&relay("127.0.0.1"), 1)
            .expect_err("nothing there");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
