//! The table of layers. Where the work shows a better one, change it together with the code that
//! it allows; what stays is one direction and no ring.

/// A folder of `src/`.
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    /// An import only goes to a lower level.
    pub(crate) level: u8,
    pub(crate) may_import: &'static [&'static str],
    /// The crates that a sans-IO layer may use; `None` for layers that touch the world.
    pub(crate) crates: Option<&'static [&'static str]>,
}

const fn sans_io(
    name: &'static str,
    level: u8,
    may_import: &'static [&'static str],
    crates: &'static [&'static str],
) -> Layer {
    Layer {
        name,
        level,
        may_import,
        crates: Some(crates),
    }
}

const fn shell(name: &'static str, level: u8, may_import: &'static [&'static str]) -> Layer {
    Layer {
        name,
        level,
        may_import,
        crates: None,
    }
}

/// From the bottom to the top.
pub(crate) const LAYERS: &[Layer] = &[
    sans_io("time", 0, &[], &[]),
    sans_io(
        "stun",
        0,
        &[],
        &["crc32fast", "hmac", "sha1", "sha2", "subtle"],
    ),
    sans_io(
        "auth",
        1,
        &["time", "stun"],
        &[
            "aws_lc_rs",
            "base64",
            "hmac",
            "md5",
            "precis_profiles",
            "serde",
            "serde_json",
            "sha1",
            "sha2",
            "subtle",
        ],
    ),
    sans_io(
        "turn",
        2,
        &["time", "stun", "auth"],
        &["ahash", "base64", "hashbrown", "hmac", "sha2", "subtle"],
    ),
    sans_io(
        "signal",
        2,
        &["time", "auth"],
        &[
            "base64",
            "hmac",
            "serde",
            "serde_json",
            "sha2",
            "subtle",
            "uuid",
        ],
    ),
    sans_io("dialect", 3, &["signal"], &["serde", "serde_json"]),
    sans_io("cluster", 3, &["time", "signal"], &["serde", "serde_json"]),
    shell("metrics", 4, &[]),
    shell("net", 4, &["time"]),
    shell(
        "relay",
        5,
        &["time", "stun", "auth", "turn", "metrics", "net"],
    ),
    shell(
        "gateway",
        5,
        &["time", "auth", "signal", "dialect", "metrics", "net"],
    ),
    shell("client", 5, &["time", "signal", "dialect", "net"]),
    shell("bus", 5, &["signal", "cluster", "metrics"]),
    shell("push", 5, &["signal", "cluster", "metrics"]),
    shell(
        "load",
        6,
        &["time", "stun", "auth", "signal", "net", "client"],
    ),
    shell(
        "admin",
        6,
        &[
            "time", "stun", "auth", "turn", "signal", "dialect", "cluster", "metrics", "relay",
            "gateway",
        ],
    ),
    shell(
        "server",
        7,
        &[
            "time", "stun", "auth", "turn", "signal", "dialect", "cluster", "metrics", "net",
            "relay", "gateway", "client", "bus", "push", "admin",
        ],
    ),
    shell(
        "cli",
        8,
        &["time", "stun", "auth", "load", "client", "server"],
    ),
];

/// What a sans-IO layer may use of the standard library: nothing that knows a clock, a socket, a
/// file, a thread, a lock or the environment.
pub(crate) const STD_FOR_SANS_IO: &[&str] = &[
    "any",
    "array",
    "ascii",
    "borrow",
    "boxed",
    "cell",
    "char",
    "cmp",
    "collections",
    "convert",
    "default",
    "error",
    "fmt",
    "hash",
    "hint",
    "iter",
    "marker",
    "mem",
    "num",
    "ops",
    "option",
    "pin",
    "rc",
    "result",
    "slice",
    "str",
    "string",
    "vec",
    "net::AddrParseError",
    "net::IpAddr",
    "net::Ipv4Addr",
    "net::Ipv6Addr",
    "net::SocketAddr",
    "net::SocketAddrV4",
    "net::SocketAddrV6",
    "sync::Arc",
    "sync::Weak",
    "time::Duration",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "f64",
    "assert",
    "assert_eq",
    "debug_assert",
    "format",
    "matches",
    "write",
    "writeln",
    "concat",
];

/// Layers in which `unsafe` may stand.
pub(crate) const UNSAFE_ALLOWED: &[&str] = &["net"];

/// Packages whose library has another name.
pub(crate) const CRATES_WITH_OTHER_NAMES: &[(&str, &str)] = &[("md-5", "md5")];
