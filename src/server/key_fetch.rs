//! Fetches a set of public keys by HTTPS. Whoever answers gets little of anything: one connection,
//! ten seconds, 64 KiB, and no say in where else to ask.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CACHE_CONTROL, HOST, HeaderMap};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::config::{KeySetUrl, RemoteKeys};
use crate::auth::jwt::{Algorithm, VerifyingKey, read_jwks};

/// For the whole of it, from the name's address to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest set, in bytes.
const LONGEST: usize = 64 * 1024;

/// What was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: Vec<VerifyingKey>,
    /// For how long the server says that it is good.
    pub(super) max_age: Option<Duration>,
}

/// Fetches the keys.
///
/// # Errors
/// Why there are none, in words.
pub(super) async fn fetch(remote: &RemoteKeys) -> Result<Fetched, String> {
    fetch_within(PATIENCE, remote).await
}

async fn fetch_within(patience: Duration, remote: &RemoteKeys) -> Result<Fetched, String> {
    let answer = tokio::time::timeout(patience, ask(remote)).await;
    answer.map_err(|_| format!("no whole answer within {patience:?}"))?
}

async fn ask(remote: &RemoteKeys) -> Result<Fetched, String> {
    let url = &remote.url;
    let stream = TcpStream::connect((url.host(), url.port())).await;
    let stream = stream.map_err(|error| error.to_string())?;
    if !url.is_secure() {
        return exchange(stream, url).await;
    }
    let name = ServerName::try_from(url.host().to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(trusting(remote).await?);
    let stream = connector.connect(name, stream).await;
    exchange(stream.map_err(|error| error.to_string())?, url).await
}

/// Trusts whom the operator has named, or whom this system trusts.
async fn trusting(remote: &RemoteKeys) -> Result<Arc<ClientConfig>, String> {
    let authorities = match &remote.authorities {
        Some(authorities) => authorities.to_vec(),
        None => of_this_system().await?,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(authorities);
    if added == 0 {
        return Err("there is no authority to trust; set auth.jwks_ca".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// They are files, which may take a while.
async fn of_this_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    Ok(loaded.map_err(|error| error.to_string())?.certs)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    url: &KeySetUrl,
) -> Result<Fetched, String> {
    let handshake = http1::Builder::new()
        .max_buf_size(LONGEST)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
    // It ends when the sender and the body are dropped.
    tokio::spawn(connection);
    let request = Request::get(url.path())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    // Where else to look is the operator's to say.
    if answer.status() != StatusCode::OK {
        return Err(format!("the answer is {}", answer.status()));
    }
    let max_age = max_age(answer.headers());
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok(Fetched {
        keys: public_keys(&body)?,
        max_age,
    })
}

/// A secret that stands under a URL is none, so only public keys count.
fn public_keys(body: &[u8]) -> Result<Vec<VerifyingKey>, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut keys = read_jwks(text).map_err(|error| error.to_string())?;
    keys.retain(|key| key.algorithm() != Algorithm::Hs256);
    if keys.is_empty() {
        return Err("the set has no public key for RS256, ES256 or EdDSA".to_owned());
    }
    Ok(keys)
}

/// `max-age` of `Cache-Control` (RFC 9111 section 5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',')).map(str::trim);
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let is_meant = name.eq_ignore_ascii_case("max-age");
        let seconds = value.trim_matches('"').parse().ok().filter(|_| is_meant)?;
        Some(Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PUBLIC: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"2","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    /// What comes of asking somebody who answers like this, and then says no more.
    async fn asked(answer: String) -> Result<Fetched, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("it comes");
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            // Who has had enough does not read on.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read(&mut request).await;
        });
        let url = KeySetUrl::parse(&format!("http://{address}/keys"));
        let remote = RemoteKeys {
            url: url.expect("a URL"),
            authorities: None,
        };
        let fetched = fetch_within(Duration::from_secs(2), &remote).await;
        server.abort();
        fetched
    }

    fn answer(status: &str, more: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{more}\r\n{body}")
    }

    #[tokio::test]
    async fn a_set_is_fetched_with_how_long_it_is_good() {
        let set = format!(r#"{{"keys":[{PUBLIC}]}}"#);
        let fetched = asked(answer("200 OK", "cache-control: max-age=90\r\n", &set)).await;
        let fetched = fetched.expect("a set");
        assert_eq!(fetched.max_age, Some(Duration::from_secs(90)));
        assert_eq!(fetched.keys[0].id(), Some("2"));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_set_is_a_failure_whatever_it_is() {
        let long = " ".repeat(LONGEST + 1) + r#"{"keys":[]}"#;
        let set = format!(r#"{{"keys":[{PUBLIC}]}}"#);
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(10 * LONGEST));
        for (answer, problem) in [
            (answer("200 OK", "", "<html>"), "not a JSON Web Key Set"),
            (answer("200 OK", "", "{\"keys\":[]}"), "no key"),
            (answer("200 OK", "", &long), "length limit"),
            (
                answer("302 Found", "location: https://id.example.org/\r\n", &set),
                "302",
            ),
            (answer("500 No", "", &set), "500"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned(),
                "whole answer",
            ),
            (String::new(), "whole answer"),
            ("nonsense\r\n\r\n".to_owned(), "invalid"),
            (endless, "large"),
        ] {
            let told = asked(answer).await.expect_err("no set");
            assert!(told.contains(problem), "{told}, and not {problem}");
        }
    }

    #[test]
    fn how_long_an_answer_is_good_is_read() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, value.parse().expect("a header"));
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(read("public, Max-Age=600, must-revalidate"), Some(600));
        assert_eq!(read("max-age=\"60\""), Some(60));
        for without in [
            "no-store",
            "s-maxage=600",
            "max-age",
            "max-age=soon",
            "max-age=-1",
        ] {
            assert_eq!(read(without), None, "{without}");
        }
    }

    #[test]
    fn secrets_that_are_published_are_no_keys() {
        let secret = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
        let read = |keys: &str| {
            let text = format!(r#"{{"keys":[{keys}]}}"#);
            public_keys(text.as_bytes()).map(|keys| keys.len()).ok()
        };
        assert_eq!(read(secret), None);
        assert_eq!(read(&format!("{secret},{PUBLIC}")), Some(1));
    }
}
