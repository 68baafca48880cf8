// SPDX-License-Identifier: GPL-2.0

//! Bytes as a line of text: UTF-8 that can be printed stands for itself; `\t`, `\n`, `\r` and `\\`
//! for tab, newline, carriage return and backslash; `\xNN` for any other byte.

/// Appends bytes as text.
pub(crate) fn escape(bytes: &[u8], to: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => to.extend(b"\\t"),
                '\n' => to.extend(b"\\n"),
                '\r' => to.extend(b"\\r"),
                '\\' => to.extend(b"\\\\"),
                ' '..='~' => to.push(c as u8),
                // Also what would change the direction or the width of the text around it.
                c if c.is_ascii() || c.escape_debug().len() > 1 => {
                    escape_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), to);
                }
                c => to.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        escape_bytes(chunk.invalid(), to);
    }
}

fn escape_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    for byte in bytes {
        to.extend(format!("\\x{byte:02x}").as_bytes());
    }
}

/// Bytes as text, for messages.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    escape(bytes, &mut text);
    let text = String::from_utf8_lossy(&text);
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

/// The bytes that a text stands for.
pub(crate) fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        bytes.extend(&rest[..at]);
        let escape = &rest[at + 1..];
        let (byte, len) = match escape {
            [b't', ..] => (b'\t', 1),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b'\\', ..] => (b'\\', 1),
            [b'x', high, low, ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => ((high << 4) | low, 3),
                _ => return Err("\\x needs two hexadecimal digits".into()),
            },
            [b'x', ..] => return Err("\\x needs two hexadecimal digits".into()),
            [] => return Err("a backslash at the end stands for nothing; write \\\\".into()),
            [other, ..] => {
                let other = other.escape_ascii();
                return Err(format!("\\{other} stands for nothing; a backslash is \\\\"));
            }
        };
        bytes.push(byte);
        rest = &escape[len..];
    }
    bytes.extend(rest);
    Ok(bytes)
}

/// The value of a hexadecimal digit.
pub(crate) fn digit(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        escape(bytes, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn printable_text_stands_for_itself() {
        for plain in ["", "plain", "with space", "'\"#", "Größe", "語", "🦀"] {
            assert_eq!(text(plain.as_bytes()), plain);
        }
        assert_eq!(
            text(b"a\tb\nc\rd\\e\0\x1b\x7f\xff"),
            "a\\tb\\nc\\rd\\\\e\\x00\\x1b\\x7f\\xff"
        );
        // C1 controls, and what turns the direction of a text.
        assert_eq!(
            text("\u{9b}\u{202e}".as_bytes()),
            "\\xc2\\x9b\\xe2\\x80\\xae"
        );
        // A sequence that ends early.
        assert_eq!(text(b"\xe8\xaa"), "\\xe8\\xaa");
    }

    #[test]
    fn all_bytes_come_back() {
        let mut state = 1u64;
        for len in 0..2000 {
            let bytes: Vec<u8> = (0..len)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    // Mostly what is special.
                    match (state >> 40) & 3 {
                        0 => b"\\xtnr\t\n\r"[(state >> 50) as usize % 8],
                        _ => (state >> 56) as u8,
                    }
                })
                .collect();
            let line = text(&bytes);
            assert!(!line.contains(|c: char| c.is_control()));
            assert_eq!(unescape(line.as_bytes()).as_ref(), Ok(&bytes));
        }
        for byte in 0..=u8::MAX {
            assert_eq!(unescape(text(&[byte]).as_bytes()), Ok(vec![byte]));
        }
    }

    #[test]
    fn wrong_escapes_are_refused() {
        for bad in [
            "\\", "a\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x0g", "\\0", "\\X00",
        ] {
            assert!(unescape(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(unescape(b"\\x5Cn\\xfF"), Ok(b"\\n\xff".to_vec()));
    }
}
