//! To which server a session connects: the one that the application has named, or the one to which
//! that has sent the client.

use super::settings::{Place, Settings, Trust};

/// So many attempts in a row at one server may come to nothing before the other one is tried.
const ATTEMPTS: u32 = 4;

#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// What the application has named.
    home: Place,
    /// Where it was sent, if it was.
    elsewhere: Option<Place>,
    is_home: bool,
    failures: u32,
    can_use_tls: bool,
}

impl Destination {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            home: settings.place.clone(),
            elsewhere: None,
            is_home: true,
            failures: 0,
            can_use_tls: !matches!(settings.trust, Trust::Nobody),
        }
    }

    /// Where to connect.
    pub(super) fn place(&self) -> &Place {
        match &self.elsewhere {
            Some(place) if !self.is_home => place,
            _ => &self.home,
        }
    }

    /// The server has sent the client to the server at `url`: whether it goes there. From TLS
    /// nobody is led to plain text.
    pub(super) fn follow(&mut self, url: &str) -> bool {
        let Some(place) = Place::of_server(url) else {
            return false;
        };
        let was_secure = self.place().is_secure;
        let is_possible = if place.is_secure {
            self.can_use_tls
        } else {
            !was_secure
        };
        if !is_possible {
            return false;
        }
        self.failures = 0;
        if place == self.home {
            self.is_home = true;
            return true;
        }
        if place.is_secure && !self.home.is_secure {
            // There is no way back to plain text either.
            self.home = place.clone();
        }
        self.elsewhere = Some(place);
        self.is_home = false;
        true
    }

    /// An attempt brought neither a welcome nor an answer of a server.
    pub(super) fn failed(&mut self) {
        if self.elsewhere.is_none() {
            return;
        }
        self.failures += 1;
        if self.failures == ATTEMPTS {
            self.failures = 0;
            self.is_home = !self.is_home;
        }
    }

    /// The server has answered.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Destination {
        let mut settings = Settings::new(url).expect("a URL");
        settings.trust = Trust::Anybody;
        Destination::new(&settings)
    }

    fn authority(destination: &Destination) -> (bool, String) {
        let place = destination.place();
        (place.is_secure, place.authority())
    }

    #[test]
    fn who_is_sent_elsewhere_goes_there_and_is_sent_on_or_back() {
        let mut destination = at("wss://blue.example/behind/v1/ws");
        assert!(destination.follow("https://green.example:8443"));
        assert_eq!(authority(&destination), (true, "green.example:8443".into()));
        assert_eq!(&*destination.place().prefix, "/v1");
        assert!(destination.follow("https://red.example"));
        assert_eq!(authority(&destination), (true, "red.example:443".into()));
    }

    #[test]
    fn nobody_is_led_from_tls_to_plain_text_and_nobody_to_what_is_no_server() {
        let mut destination = at("wss://blue.example/v1/ws");
        let wrong = [
            "http://green.example",
            "ws://green.example",
            "wss://green.example",
            "javascript:alert(1)",
            "https://green.example/path",
            "https://green.example?query",
            "https://user@green.example",
            "https://",
            "green.example",
            "",
        ];
        for url in wrong {
            assert!(!destination.follow(url), "{url}");
            assert_eq!(authority(&destination), (true, "blue.example:443".into()));
        }
    }

    #[test]
    fn from_plain_text_to_tls_there_is_no_way_back() {
        let mut destination = at("ws://blue.example/v1/ws");
        assert!(destination.follow("http://green.example"));
        assert!(destination.follow("https://red.example"));
        for _ in 0..20 {
            destination.failed();
            assert!(destination.place().is_secure);
        }
        assert!(!destination.follow("http://blue.example"));
    }

    #[test]
    fn who_trusts_nobody_does_not_go_where_tls_is_spoken() {
        let settings = Settings::new("ws://blue.example/v1/ws").expect("a URL");
        let mut destination = Destination::new(&settings);
        assert!(!destination.follow("https://green.example"));
        assert!(destination.follow("http://green.example"));
    }

    #[test]
    fn where_nobody_answers_the_two_are_tried_by_turns() {
        let mut destination = at("wss://blue.example/v1/ws");
        for _ in 0..10 {
            destination.failed();
        }
        assert_eq!(&*destination.place().host, "blue.example");
        assert!(destination.follow("https://green.example"));
        let mut tried = String::new();
        for _ in 0..12 {
            tried.push_str(&destination.place().host[..1]);
            destination.failed();
        }
        assert_eq!(tried, "ggggbbbbgggg");
        destination.answered();
        for _ in 0..3 {
            destination.failed();
        }
        assert_eq!(&*destination.place().host, "blue.example");
    }
}
