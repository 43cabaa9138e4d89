//! The documents of the interface: the JSON schema, the OpenAPI and the AsyncAPI document, and the
//! prose, held against the code and against each other. The gateway suite holds every message that
//! it sends and receives against the schema.

mod channels;
pub(crate) mod checker;
mod codec;
mod interface;
mod prose;
mod source;
