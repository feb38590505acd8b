//! From a file to captured bytes: binary as it is, or hex digits with white space and comments. Pure.
//!
//! Always true here: a file is hex only if nothing but digits, white space and comments is in it, so a telegram in text (`/ISK5...`,
//! brackets, STX) is never taken for hex. Deliberately absent: dumps with offsets or a column of text.

/// The bytes that a file means.
///
/// # Errors
/// Hex digits that are not pairs, with the line.
pub(super) fn bytes(file: &[u8]) -> Result<Vec<u8>, String> {
    let plain = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let words = || plain.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b'#').next().unwrap_or_default());
    let is_hex = words().flatten().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace());
    if !is_hex {
        return Ok(file.to_owned());
    }
    let mut bytes = Vec::new();
    for (number, line) in words().enumerate() {
        for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            let odd = || format!("line {}: \"{}\" is not made of pairs of hex digits", number + 1, String::from_utf8_lossy(word));
            bytes.extend(hex_pairs(word).ok_or_else(odd)?);
        }
    }
    Ok(bytes)
}

/// The bytes that hex digits without gaps spell.
pub(super) fn hex_pairs(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_may_have_gaps_lines_and_comments() {
        let text = b"# from the optical head, 3 Nov\r\n10 5B\t01 # REQ_UD2\n5C16\n";
        assert_eq!(bytes(text), Ok(vec![0x10, 0x5B, 0x01, 0x5C, 0x16]));
        assert_eq!(bytes(b"\xEF\xBB\xBFe5"), Ok(vec![0xE5]));
        assert_eq!(bytes(b"# nothing yet\n"), Ok(Vec::new()));
    }

    #[test]
    fn text_telegrams_and_binary_stay_as_they_are() {
        for kept in [&b"/ABC5\r\n1-0:1.8.0(1*kWh)\r\n!\r\n"[..], b"\x68\x03\x03\x68", b"\xE5", b"1.8.0(1) # no comment"] {
            assert_eq!(bytes(kept), Ok(kept.to_vec()));
        }
    }

    #[test]
    fn half_a_byte_is_told_with_its_line() {
        assert_eq!(bytes(b"68 03\n68 3\n"), Err("line 2: \"3\" is not made of pairs of hex digits".to_owned()));
    }
}
