//! Why a token is refused.

use std::fmt;

/// Why a token is refused. It is for the operator's log; a client is only told whether another
/// token of the same kind would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// Longer than 8 KiB.
    TooLong,
    /// Not three parts of base64url with JSON objects in the first two.
    Malformed,
    /// The header asks for what is never done: a key from the token, an extension.
    Header,
    /// The header names another algorithm than HS256, RS256, ES256 and `EdDSA`.
    Algorithm,
    /// There is no key of this id and algorithm.
    UnknownKey,
    /// No key that is there has made the signature, and not all are there yet.
    NoKeys,
    /// No key has made the signature.
    Signature,
    /// A claim is missing that must be there, or is of the wrong type.
    Claims,
    /// Another issuer.
    Issuer,
    /// For another audience.
    Audience,
    /// Not good yet.
    NotYet,
    /// It was made for a longer time than tokens may be good for.
    Lifetime,
    /// Not good any more.
    Expired,
    /// What it grants is not of the form that this server reads.
    Grant,
    /// It has been revoked.
    Revoked,
}

impl TokenFault {
    const fn words(self) -> &'static str {
        match self {
            Self::TooLong => "longer than 8 KiB",
            Self::Malformed => "not a signed JSON Web Token",
            Self::Header => "a header that is never honoured",
            Self::Algorithm => "another algorithm than HS256, RS256, ES256 and EdDSA",
            Self::UnknownKey => "no key of this id and algorithm",
            Self::NoKeys => "the keys are not there yet",
            Self::Signature => "the signature is no key's",
            Self::Claims => "a claim is missing or of the wrong type",
            Self::Issuer => "another issuer",
            Self::Audience => "for another audience",
            Self::NotYet => "not good yet",
            Self::Lifetime => "good for longer than auth.max_lifetime",
            Self::Expired => "expired",
            Self::Grant => "the claim peerage is not of the required form",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
