//! Offsets of splits as people see them, without the code of their connector.

use std::fmt::Write as _;

use flowdsl_runtime::connector::Offset;
use serde_json::{Value, json};

/// A number, or the byte and the line of a text file, or the bytes of any other connector in hexadecimal.
pub(super) fn offset_of(offset: &Offset) -> Value {
    // What decodes as something else than it was encoded as does not encode to the same bytes.
    if let Ok(number) = offset.decode::<u64>()
        && Offset::encode(&number) == *offset
    {
        return number.into();
    }
    if let Ok((byte, line)) = offset.decode::<(u64, u64)>()
        && Offset::encode(&(byte, line)) == *offset
    {
        return json!({"byte": byte, "line": line});
    }
    let mut hex = String::from("0x");
    for byte in offset.as_bytes() {
        write!(hex, "{byte:02x}").expect("writing to a string never fails");
    }
    hex.into()
}
