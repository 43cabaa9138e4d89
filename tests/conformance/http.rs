//! Requests over plain HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// The status of the answer to a `POST`, and its body.
pub(crate) fn post(to: SocketAddr, path: &str, headers: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let length = body.len();
    exchange(
        to,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The same of the answer to a `GET`.
pub(crate) fn get(to: SocketAddr, path: &str, headers: &str) -> (u16, Value) {
    exchange(
        to,
        &format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}\r\n"),
    )
}

fn exchange(to: SocketAddr, request: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(to).expect("connected");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).expect("a status");
    let status = status.parse().expect("a number");
    (status, serde_json::from_str(body).unwrap_or_default())
}
