// SPDX-License-Identifier: GPL-2.0

//! How keys and values are written.

use clap::ValueEnum;
use serde_json::{json, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::escape::{digit, escape, unescape};

/// How a key or a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Format {
    /// the bytes themselves; on output and in files, some are escaped
    #[default]
    Text,
    /// the same, with \t, \n, \r, \\, \xNN on the command line, too
    Escaped,
    /// two hexadecimal digits for each byte: 0a0b, "0a 0b" or "0x0a 0x0b"
    Hex,
    /// a number of 1 byte: 10 or 0x0a
    U8,
    /// a number of 2 bytes, in the order of this machine
    U16,
    /// a number of 4 bytes
    U32,
    /// a number of 8 bytes
    U64,
    /// a number of 1 byte, with a sign
    I8,
    /// a number of 2 bytes, with a sign
    I16,
    /// a number of 4 bytes, with a sign
    I32,
    /// a number of 8 bytes, with a sign
    I64,
    /// 4 bytes, as an address: 192.0.2.1
    Ipv4,
    /// 16 bytes, as an address: 2001:db8::1
    Ipv6,
}

/// A number's bytes, in the order of this machine.
fn number<T: TryFrom<i128>, const N: usize>(
    number: i128,
    bytes: fn(T) -> [u8; N],
) -> Result<Vec<u8>, String> {
    let fit = T::try_from(number).map_err(|_| format!("{number} does not fit into {N} bytes"))?;
    Ok(bytes(fit).to_vec())
}

impl Format {
    /// The bytes that a text on the command line stands for.
    pub(crate) fn parse(self, text: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Text => Ok(text.to_vec()),
            Self::Escaped => unescape(text),
            Self::Hex => parse_hex(text),
            Self::Ipv4 => {
                let address = parse_text::<Ipv4Addr>(text, "an address like 192.0.2.1")?;
                Ok(address.octets().to_vec())
            }
            Self::Ipv6 => {
                let address = parse_text::<Ipv6Addr>(text, "an address like 2001:db8::1")?;
                Ok(address.octets().to_vec())
            }
            _ => self.number(parse_number(text)?),
        }
    }

    /// The bytes that a field of a file stands for, where also plain text is escaped.
    pub(crate) fn parse_field(self, text: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Text => unescape(text),
            other => other.parse(text),
        }
    }

    /// The bytes of a number.
    fn number(self, value: i128) -> Result<Vec<u8>, String> {
        match self {
            Self::U8 => number(value, u8::to_ne_bytes),
            Self::U16 => number(value, u16::to_ne_bytes),
            Self::U32 => number(value, u32::to_ne_bytes),
            Self::U64 => number(value, u64::to_ne_bytes),
            Self::I8 => number(value, i8::to_ne_bytes),
            Self::I16 => number(value, i16::to_ne_bytes),
            Self::I32 => number(value, i32::to_ne_bytes),
            Self::I64 => number(value, i64::to_ne_bytes),
            _ => Err("a number needs a format of numbers, such as u32".into()),
        }
    }

    /// The number that bytes are, if this is a format of numbers.
    fn as_number(self, bytes: &[u8]) -> Result<Option<i128>, String> {
        let number = match self {
            Self::U8 => bytes.try_into().map(|b| u8::from_ne_bytes(b).into()),
            Self::U16 => bytes.try_into().map(|b| u16::from_ne_bytes(b).into()),
            Self::U32 => bytes.try_into().map(|b| u32::from_ne_bytes(b).into()),
            Self::U64 => bytes.try_into().map(|b| u64::from_ne_bytes(b).into()),
            Self::I8 => bytes.try_into().map(|b| i8::from_ne_bytes(b).into()),
            Self::I16 => bytes.try_into().map(|b| i16::from_ne_bytes(b).into()),
            Self::I32 => bytes.try_into().map(|b| i32::from_ne_bytes(b).into()),
            Self::I64 => bytes.try_into().map(|b| i64::from_ne_bytes(b).into()),
            _ => return Ok(None),
        };
        number.map(Some).map_err(|_| self.misfit(bytes))
    }

    /// The address that bytes are, if this is a format of addresses.
    fn as_address(self, bytes: &[u8]) -> Result<Option<String>, String> {
        let address = match self {
            Self::Ipv4 => <[u8; 4]>::try_from(bytes).map(|b| Ipv4Addr::from(b).to_string()),
            Self::Ipv6 => <[u8; 16]>::try_from(bytes).map(|b| Ipv6Addr::from(b).to_string()),
            _ => return Ok(None),
        };
        address.map(Some).map_err(|_| self.misfit(bytes))
    }

    fn misfit(self, bytes: &[u8]) -> String {
        let name = self
            .to_possible_value()
            .map(|value| value.get_name().to_string());
        format!(
            "{} bytes are no {}; try hex",
            bytes.len(),
            name.unwrap_or_default()
        )
    }

    /// Appends bytes as text.
    pub(crate) fn print(self, bytes: &[u8], to: &mut Vec<u8>) -> Result<(), String> {
        if let Some(number) = self.as_number(bytes)? {
            to.extend(number.to_string().as_bytes());
        } else if let Some(address) = self.as_address(bytes)? {
            to.extend(address.as_bytes());
        } else if self == Self::Hex {
            to.extend(hex(bytes, " ").as_bytes());
        } else {
            escape(bytes, to);
        }
        Ok(())
    }

    /// Bytes in JSON.
    pub(crate) fn to_json(self, bytes: &[u8]) -> Result<Value, String> {
        if let Some(number) = self.as_number(bytes)? {
            // All of them fit one of the two.
            return Ok(u64::try_from(number).map_or_else(|_| json!(number as i64), Value::from));
        }
        if let Some(address) = self.as_address(bytes)? {
            return Ok(address.into());
        }
        Ok(match std::str::from_utf8(bytes) {
            _ if self == Self::Hex => hex(bytes, "").into(),
            Ok(text) => text.into(),
            Err(_) => json!({ "hex": hex(bytes, "") }),
        })
    }

    /// The bytes that something in JSON stands for.
    pub(crate) fn parse_json(self, value: &Value) -> Result<Vec<u8>, String> {
        match value {
            Value::String(text) if self == Self::Escaped => Ok(text.as_bytes().to_vec()),
            Value::String(text) => self.parse(text.as_bytes()),
            Value::Number(number) => {
                let number = number
                    .as_i64()
                    .map(i128::from)
                    .or(number.as_u64().map(i128::from));
                self.number(number.ok_or("a number must be a whole one, of at most 8 bytes")?)
            }
            Value::Object(object) => match object.get("hex") {
                Some(Value::String(text)) if object.len() == 1 => parse_hex(text.as_bytes()),
                _ => Err("an object must be {\"hex\": \"00ff\"}".into()),
            },
            _ => Err("it must be a text, a number or {\"hex\": \"00ff\"}".into()),
        }
    }
}

fn hex(bytes: &[u8], between: &str) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between)
}

fn parse_text<T: std::str::FromStr>(text: &[u8], what: &str) -> Result<T, String> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("it must be {what}"))
}

fn parse_number(text: &[u8]) -> Result<i128, String> {
    let wrong = || "it must be a whole number, such as 10 or 0x0a".to_string();
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, digits),
    };
    // No second sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return Err(wrong());
    }
    i128::from_str_radix(digits, radix)
        .map(|number| sign * number)
        .map_err(|_| wrong())
}

fn parse_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let wrong =
        || "it must be two hexadecimal digits for each byte, such as 0a0b or \"0a 0b\"".to_string();
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let groups = text.split(|b| b.is_ascii_whitespace() || *b == b':');
    for group in groups.filter(|group| !group.is_empty()) {
        let digits = group.strip_prefix(b"0x").unwrap_or(group);
        let digits: Option<Vec<u8>> = digits.iter().map(|b| digit(*b)).collect();
        match digits.ok_or_else(wrong)?.as_slice() {
            [one] => bytes.push(*one),
            [] => return Err(wrong()),
            digits if digits.len() % 2 != 0 => return Err(wrong()),
            digits => bytes.extend(digits.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1])),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: Format, bytes: &[u8]) -> Result<String, String> {
        let mut text = Vec::new();
        format.print(bytes, &mut text)?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn what_is_written_can_be_read() {
        let bytes: Vec<u8> = (0..=255).chain([b'\\', b'n']).collect();
        for format in Format::value_variants().iter().copied() {
            let some: Vec<&[u8]> = match format {
                Format::Text | Format::Escaped | Format::Hex => vec![&bytes, b"text", b""],
                Format::U8 | Format::I8 => vec![b"\0", b"\x7f", b"\x80", b"\xff"],
                Format::U16 | Format::I16 => vec![&bytes[..2], &bytes[254..256]],
                Format::U32 | Format::I32 | Format::Ipv4 => vec![&bytes[..4], &bytes[252..256]],
                Format::U64 | Format::I64 => vec![&bytes[..8], &bytes[248..256]],
                Format::Ipv6 => vec![&bytes[..16], &[0; 16], &[255; 16]],
            };
            for bytes in some {
                let line = text(format, bytes).unwrap();
                assert_eq!(
                    format.parse_field(line.as_bytes()).as_deref(),
                    Ok(bytes),
                    "{line}"
                );
                let json = format.to_json(bytes).unwrap().to_string();
                let json = serde_json::from_str(&json).unwrap();
                assert_eq!(format.parse_json(&json).as_deref(), Ok(bytes), "{json}");
            }
        }
    }

    #[test]
    fn text_on_the_command_line_is_literal() {
        assert_eq!(Format::Text.parse(b"a\\n"), Ok(b"a\\n".to_vec()));
        assert_eq!(Format::Escaped.parse(b"a\\n"), Ok(b"a\n".to_vec()));
        assert_eq!(Format::Text.parse(b"\xff"), Ok(b"\xff".to_vec()));
    }

    #[test]
    fn bytes_are_written_in_many_ways() {
        for hex in ["0a0b", "0a 0b", "0a:0B", "0x0a 0xb", " a  b ", "0x0a0b"] {
            assert_eq!(Format::Hex.parse(hex.as_bytes()), Ok(vec![10, 11]), "{hex}");
        }
        for bad in ["0a0", "0x", "g0", "0a,0b", "-1", "0xx0"] {
            assert!(Format::Hex.parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_must_fit() {
        assert_eq!(Format::U32.parse(b"1"), Ok(1u32.to_ne_bytes().to_vec()));
        assert_eq!(Format::I8.parse(b"-0x80"), Ok(vec![0x80]));
        assert_eq!(Format::U64.parse(b"18446744073709551615"), Ok(vec![255; 8]));
        for (format, bad) in [
            (Format::U8, "256"),
            (Format::U8, "-1"),
            (Format::I8, "128"),
            (Format::U64, "18446744073709551616"),
            (Format::I64, "99999999999999999999999999999999999999999999"),
            (Format::U32, ""),
            (Format::U32, "-"),
            (Format::U32, "+1"),
            (Format::U32, "--1"),
            (Format::U32, "0x-1"),
            (Format::U32, "1.5"),
            (Format::U32, " 1"),
            (Format::Ipv4, "1.2.3"),
            (Format::Ipv4, "::1"),
        ] {
            assert!(format.parse(bad.as_bytes()).is_err(), "{format:?} {bad}");
        }
        assert!(text(Format::U32, b"12345")
            .unwrap_err()
            .contains("5 bytes are no u32"));
        assert!(Format::U32.to_json(b"1").is_err());
    }

    #[test]
    fn json_is_read_strictly() {
        for bad in [
            "1.5",
            "null",
            "true",
            "[]",
            "{}",
            r#"{"hex":1}"#,
            r#"{"hex":"00","x":1}"#,
        ] {
            let json = serde_json::from_str(bad).unwrap();
            assert!(Format::Text.parse_json(&json).is_err(), "{bad}");
            assert!(Format::U32.parse_json(&json).is_err(), "{bad}");
        }
        assert!(Format::Text.parse_json(&json!(1)).is_err());
        assert_eq!(Format::Text.to_json(b"\xff\0"), Ok(json!({"hex": "ff00"})));
        assert_eq!(
            Format::U8.parse_json(&json!({"hex": "ff00"})),
            Ok(vec![255, 0])
        );
    }
}
