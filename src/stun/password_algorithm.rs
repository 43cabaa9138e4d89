//! PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS (RFC 8489 sections 14.11 and 14.12).

/// How the key of the long-term mechanism is made from a password (RFC 8489 section 18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PasswordAlgorithm {
    /// 0x0001: 16 bytes.
    Md5,
    /// 0x0002: 32 bytes.
    Sha256,
}

impl PasswordAlgorithm {
    /// The value of PASSWORD-ALGORITHMS with all that are known here, the preferred one first.
    /// None of them has parameters.
    pub const ALL: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

    /// The value of PASSWORD-ALGORITHM.
    #[must_use]
    pub const fn value(self) -> [u8; 4] {
        match self {
            Self::Md5 => [0, 1, 0, 0],
            Self::Sha256 => [0, 2, 0, 0],
        }
    }
}

/// Reads the value of PASSWORD-ALGORITHM. `None` for an algorithm that is not known here, or
/// known and given parameters.
#[must_use]
pub fn decode_password_algorithm(value: &[u8]) -> Option<PasswordAlgorithm> {
    [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]
        .into_iter()
        .find(|algorithm| algorithm.value() == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_of_the_list_can_be_named() {
        let named: Vec<_> = PasswordAlgorithm::ALL
            .chunks(4)
            .map(decode_password_algorithm)
            .collect();
        assert_eq!(
            named,
            [
                Some(PasswordAlgorithm::Sha256),
                Some(PasswordAlgorithm::Md5)
            ]
        );
    }

    #[test]
    fn unknown_algorithms_and_parameters_are_refused() {
        for value in [
            &[][..],
            &[0, 2],
            &[0, 0, 0, 0],
            &[0, 3, 0, 0],
            &[0, 1, 0, 4, 1, 2, 3, 4],
        ] {
            assert_eq!(decode_password_algorithm(value), None, "{value:?}");
        }
    }
}
