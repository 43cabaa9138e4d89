//! Names for rooms that nobody guesses and people can tell apart.

/// Words for the readable part; 32 of each, so that five bits choose one.
const COLOURS: [&str; 32] = [
    "amber", "apricot", "azure", "beige", "blue", "bronze", "cherry", "copper", "coral", "cream",
    "crimson", "cyan", "golden", "green", "grey", "indigo", "ivory", "jade", "lemon", "lilac",
    "lime", "mint", "ochre", "olive", "orange", "peach", "pink", "purple", "ruby", "silver",
    "teal", "violet",
];
const BIRDS: [&str; 32] = [
    "auk", "bunting", "crane", "curlew", "dipper", "dove", "eagle", "egret", "falcon", "finch",
    "gannet", "goose", "grebe", "gull", "heron", "ibis", "jay", "kite", "lark", "linnet", "magpie",
    "martin", "osprey", "owl", "plover", "puffin", "raven", "robin", "swan", "swift", "tern",
    "wren",
];
/// Base 32 without letters that look alike (Crockford's, in lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Bytes of randomness that a name takes.
pub(super) const RANDOM_BYTES: usize = 14;

/// A room such as `blue-heron-x3k9qw5tz0a8`. The last 12 characters are 60 random bits: whoever
/// has the link may enter, and nobody else can find it.
pub(super) fn room(random: [u8; RANDOM_BYTES]) -> String {
    let [colour, bird, rest @ ..] = random.map(|byte| usize::from(byte % 32));
    let tail: String = rest
        .iter()
        .map(|five| char::from(ALPHABET[*five]))
        .collect();
    format!("{}-{}-{tail}", COLOURS[colour], BIRDS[bird])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_of_the_form_that_the_protocol_asks_for() {
        let name = room([7, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
        assert_eq!(name, "copper-heron-0123456789az");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    }
}
