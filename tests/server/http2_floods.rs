//! What abuses HTTP/2 itself, frame by frame. Each flood is a tenth or less of what has brought
//! down servers elsewhere, and enough to see whether anything ends it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use crate::client::{get, tls_with};
use crate::process::{PATIENCE, Server};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// The code of errors.
const ENHANCE_YOUR_CALM: u32 = 11;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const DATA: u8 = 0;

/// `GET https://localhost/healthz` without names of fields that are in HPACK's static table.
const GET: &[u8] = b"\x82\x87\x04\x08/healthz\x41\x09localhost";
/// `POST https://localhost/v1/connect`
const POST: &[u8] = b"\x83\x87\x04\x0b/v1/connect\x41\x09localhost";

/// What a server may grow under an attack.
const GROWTH: usize = 10 << 20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection that is written to until the server has enough of it.
struct Attacker {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Attacker {
    fn new(server: &Server, state: &Path) -> Self {
        let ca = state.join("ca.pem");
        let mut stream = tls_with(server.https, &ca, &rustls::version::TLS13, &["h2"]);
        stream.sock.set_write_timeout(Some(PATIENCE)).expect("set");
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .expect("it reads");
        stream
            .write_all(&frame(SETTINGS, 0, 0, &[]))
            .expect("it reads");
        Self { stream }
    }

    /// Writes what `next` gives, `times` at most, until the server has had enough. Gives the code
    /// with which it says so, or `None` if it just closes; panics if it never has.
    fn flood(mut self, times: u32, mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
        let mut batch = Vec::new();
        let mut told = Vec::new();
        for number in 0..times {
            batch.extend(next(number));
            if batch.len() < 16_000 && number + 1 < times {
                continue;
            }
            let is_refused = self.stream.write_all(&batch).is_err();
            batch.clear();
            let is_over = self.listen(&mut told, Duration::from_millis(1));
            let code = goaway(&told);
            if is_refused || is_over || code.is_some() {
                return code;
            }
        }
        let is_over = self.listen(&mut told, PATIENCE);
        assert!(is_over, "it goes on after {times}");
        goaway(&told)
    }

    /// Reads until the end, which gives true, or until nothing comes for a time.
    fn listen(&mut self, told: &mut Vec<u8>, patience: Duration) -> bool {
        let socket = &self.stream.sock;
        socket.set_read_timeout(Some(patience)).expect("set");
        match self.stream.read_to_end(told) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// The code of the first GOAWAY that is no polite one.
fn goaway(mut bytes: &[u8]) -> Option<u32> {
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        if head[3] == GOAWAY {
            let code = payload.get(4..8)?.try_into().ok()?;
            return Some(u32::from_be_bytes(code));
        }
        bytes = rest;
    }
    None
}

/// Runs a flood against a server that others use, and holds it to what it may cost them.
fn harms_nobody(told: &[u32], flood: impl Fn(Attacker) -> Option<u32>) {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    // What it needs once and keeps is not the attack's.
    for _ in 0..2 {
        flood(Attacker::new(&server, state.path()));
    }
    let before = server.resident();
    for _ in 0..3 {
        let code = flood(Attacker::new(&server, state.path()));
        // What it has said can be lost where it closes while much still comes.
        assert!(code.is_none_or(|code| told.contains(&code)), "{code:?}");
        assert_eq!(get(server.http, "/healthz").status, 200);
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < GROWTH, "grown by {grown}");
}

#[test]
fn these_frames_are_understood() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    for (block, end, status) in [(GET, END_STREAM, 0x88), (POST, 0, 0x8c)] {
        let mut attacker = Attacker::new(&server, state.path());
        let mut asked = frame(HEADERS, END_HEADERS | end, 1, block);
        if end == 0 {
            asked.extend(frame(DATA, END_STREAM, 1, b"{}"));
        }
        attacker.stream.write_all(&asked).expect("it reads");
        let mut told = Vec::new();
        while !has_status(&told, status) {
            assert!(
                !attacker.listen(&mut told, Duration::from_millis(10)),
                "{told:?}"
            );
        }
        assert_eq!(goaway(&told), None);
    }
}

/// Whether an answer begins with this field of HPACK.
fn has_status(bytes: &[u8], status: u8) -> bool {
    bytes
        .windows(10)
        .any(|head| head[3] == HEADERS && head[8] == 1 && head[9] == status)
}

#[test]
fn a_flood_of_streams_that_are_reset_at_once_ends_the_connection() {
    harms_nobody(&[ENHANCE_YOUR_CALM], |attacker| {
        attacker.flood(20_000, |number| {
            let stream = 2 * number + 1;
            let mut both = frame(HEADERS, END_HEADERS | END_STREAM, stream, GET);
            both.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            both
        })
    });
}

#[test]
fn a_flood_of_continued_headers_ends_the_connection() {
    // A field that is not to be indexed, of 8,000 bytes.
    let mut field = b"\x00\x01x\x7f\xc1\x3d".to_vec();
    field.extend([b'a'; 8_000]);
    harms_nobody(&[ENHANCE_YOUR_CALM], |attacker| {
        attacker.flood(2_000, |number| match number {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, &field),
        })
    });
    harms_nobody(&[ENHANCE_YOUR_CALM], |attacker| {
        attacker.flood(100_000, |number| match number {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, &[]),
        })
    });
}

#[test]
fn a_flood_of_empty_data_ends_the_connection() {
    harms_nobody(&[ENHANCE_YOUR_CALM], |attacker| {
        attacker.flood(500_000, |number| match number {
            0 => frame(HEADERS, END_HEADERS, 1, POST),
            _ => frame(DATA, 0, 1, &[]),
        })
    });
}

#[test]
fn a_flood_of_settings_that_nobody_reads_the_answers_to_harms_nobody() {
    harms_nobody(&[], |attacker| {
        let Attacker { mut stream } = attacker;
        let settings = frame(SETTINGS, 0, 0, &[]).repeat(1_000);
        // It reads no more when its answers are not taken; nothing is left to do then.
        let brief = Some(Duration::from_millis(300));
        stream.sock.set_write_timeout(brief).expect("set");
        (0..200).find(|_| stream.write_all(&settings).is_err());
        None
    });
}
