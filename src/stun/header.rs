//! The header of a STUN message (RFC 8489 section 5).

/// Length of the header of every STUN message, in bytes.
pub const HEADER_LENGTH: usize = 20;

/// The magic cookie in bytes 4 to 7 of every STUN message.
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// The 96 bits that tie a response to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// The class of a message (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// Says that the request was carried out.
    Success,
    /// Says why it was not.
    Error,
}

/// The method of a message, 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method(pub u16);

#[expect(missing_docs, reason = "the names are those of the registry")]
impl Method {
    pub const BINDING: Self = Self(0x001);
    pub const ALLOCATE: Self = Self(0x003);
    pub const REFRESH: Self = Self(0x004);
    pub const SEND: Self = Self(0x006);
    pub const DATA: Self = Self(0x007);
    pub const CREATE_PERMISSION: Self = Self(0x008);
    pub const CHANNEL_BIND: Self = Self(0x009);
    pub const CONNECT: Self = Self(0x00a);
    pub const CONNECTION_BIND: Self = Self(0x00b);
    pub const CONNECTION_ATTEMPT: Self = Self(0x00c);
}

/// The first two bytes: method and class, interleaved.
pub(super) fn type_field(class: Class, method: Method) -> u16 {
    let class_bits = match class {
        Class::Request => 0x000,
        Class::Indication => 0x010,
        Class::Success => 0x100,
        Class::Error => 0x110,
    };
    let m = method.0;
    (m & 0x00f) | ((m & 0x070) << 1) | ((m & 0xf80) << 2) | class_bits
}

pub(super) fn split_type_field(field: u16) -> (Class, Method) {
    let class = match field & 0x110 {
        0x000 => Class::Request,
        0x010 => Class::Indication,
        0x100 => Class::Success,
        _ => Class::Error,
    };
    let method = (field & 0x000f) | ((field & 0x00e0) >> 1) | ((field & 0x3e00) >> 2);
    (class, Method(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_method_survive_the_round_trip() {
        for method in 0..0x1000 {
            for class in [
                Class::Request,
                Class::Indication,
                Class::Success,
                Class::Error,
            ] {
                let field = type_field(class, Method(method));
                assert_eq!(field & 0xc000, 0);
                assert_eq!(split_type_field(field), (class, Method(method)));
            }
        }
    }
}
