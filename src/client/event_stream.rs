//! Server-Sent Events, as this server writes them (HTML Living Standard, section 9.2).

use super::closing::Told;
use super::message::LONGEST;

#[derive(Debug)]
pub(super) enum Item {
    Message {
        id: u64,
        text: Box<str>,
    },
    /// The server wants a sign of life.
    Asked,
    Closed(Told),
}

/// Cuts what has come into events.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    buffer: Vec<u8>,
    begun: Begun,
    items: std::collections::VecDeque<Item>,
}

/// An event of which the blank line has not come.
#[derive(Debug, Default)]
struct Begun {
    id: Option<u64>,
    name: String,
    data: String,
}

impl EventStream {
    /// Takes bytes in.
    ///
    /// # Errors
    /// They are no events of this protocol.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if self.buffer.len() + self.begun.length() + bytes.len() > LONGEST {
            return Err("an event without an end");
        }
        let (mut taken, mut searched) = (0, self.buffer.len());
        self.buffer.extend_from_slice(bytes);
        while let Some(length) = self.buffer[searched..]
            .iter()
            .position(|&byte| byte == b'\n')
        {
            let line = &self.buffer[taken..searched + length];
            let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
            searched += length + 1;
            taken = searched;
            if let Some(item) = self.begun.take(line.trim_end_matches('\r'))? {
                self.items.push_back(item);
            }
        }
        self.buffer.drain(..taken);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        self.items.pop_front()
    }
}

impl Begun {
    /// What it takes so far, in bytes.
    fn length(&self) -> usize {
        self.name.len() + self.data.len()
    }

    fn take(&mut self, line: &str) -> Result<Option<Item>, &'static str> {
        if line.is_empty() {
            return std::mem::take(self).finish();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = value.parse().ok(),
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push_str(value),
            // A comment, `retry`, or something new.
            _ => {}
        }
        Ok(None)
    }

    fn finish(self) -> Result<Option<Item>, &'static str> {
        if self.data.is_empty() {
            return Ok(None);
        }
        match &*self.name {
            "" | "message" => Ok(Some(Item::Message {
                id: self.id.ok_or("an event without an id")?,
                text: self.data.into(),
            })),
            "ping" => Ok(Some(Item::Asked)),
            "closed" => {
                let closed = serde_json::from_str(&self.data);
                Ok(Some(Item::Closed(closed.map_err(|_| "a bad end")?)))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_never_ends_is_given_up() {
        for line in [&[b'x'; 1 << 16][..], b"data: and more\n"] {
            let mut stream = EventStream::default();
            let given_up = (0..=2 * LONGEST / line.len()).find(|_| stream.take(line).is_err());
            assert!(given_up.is_some());
            assert!(stream.next().is_none());
        }
    }

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let text = ": hello\n\nevent: ping\ndata: {}\n\nevent: later\ndata: {}\n\n\
            id: 7\ndata: {\"type\":\"pong\"}\n\nevent: closed\ndata: {\"code\":4409,\"reason\":\"ä\"}\n\n";
        for step in 1..text.len() {
            let mut stream = EventStream::default();
            for bytes in text.as_bytes().chunks(step) {
                stream.take(bytes).expect("events");
            }
            assert!(matches!(stream.next(), Some(Item::Asked)));
            let first = stream.next();
            assert!(
                matches!(&first, Some(Item::Message { id: 7, text }) if text.contains("pong")),
                "{first:?}"
            );
            let second = stream.next();
            assert!(matches!(
                second,
                Some(Item::Closed(Told {
                    code: Some(4409),
                    ..
                }))
            ));
            assert!(stream.next().is_none());
        }
    }
}
