//! Access tokens of applications: JSON Web Tokens (RFC 7519) signed by the rules of RFC 7515 and
//! read by those of RFC 8725.
//!
//! [`AccessTokens`] holds the keys and says what a token must be; [`AccessTokens::verify`] gives
//! its [`Claims`], or why it is refused. A key has exactly one algorithm, and nothing in a token
//! names a key of its own: `jku`, `jwk`, `x5u`, `x5c` and `crit` are refused, and nothing that a token
//! names is ever fetched.

mod algorithm;
mod claims;
mod compact;
mod fault;
mod jwks;
mod key;
mod verifier;

pub use algorithm::Algorithm;
pub use claims::Claims;
pub use fault::TokenFault;
pub use jwks::{JwksError, read_jwks};
pub use key::{KeyError, LEAST_SECRET, VerifyingKey};
pub use verifier::{AccessTokens, MOST_KEYS, TokenRules};

#[cfg(test)]
mod corpus;
