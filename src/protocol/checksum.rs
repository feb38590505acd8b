//! Check sums of the serial meter protocols.
//!
//! Always true here: each sum is of the bytes given and of nothing else; in which order a sum travels on the wire is the business of
//! its protocol. The check values in the tests are those of the catalogue of parametrised CRC algorithms for "123456789".

/// Remainders of the 256 byte values for a reflected 16-bit polynomial.
const fn table(polynomial: u16) -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0_u16;
    while index < 256 {
        let mut crc = index;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, index < 256")]
        {
            table[index as usize] = crc;
        }
        index += 1;
    }
    table
}

/// 0x1021 reflected: X.25 and Kermit.
static CCITT: [u16; 256] = table(0x8408);
/// 0x8005 reflected: ARC and Modbus.
static IBM: [u16; 256] = table(0xA001);

fn crc16(table: &[u16; 256], init: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(init, |crc, byte| {
        let [low, _] = crc.to_le_bytes();
        crc >> 8 ^ table.get(usize::from(low ^ byte)).copied().unwrap_or_default()
    })
}

/// CRC-16/IBM-SDLC ("X.25"): SML transport and messages, HDLC.
#[must_use]
pub fn crc16_x25(bytes: &[u8]) -> u16 {
    !crc16(&CCITT, 0xFFFF, bytes)
}

/// CRC-16/KERMIT: what some SML meters send in place of X.25.
#[must_use]
pub fn crc16_kermit(bytes: &[u8]) -> u16 {
    crc16(&CCITT, 0, bytes)
}

/// CRC-16/ARC: DSMR P1 from V4 on (P1 Companion Standard 5.2, 6.2).
#[must_use]
pub fn crc16_arc(bytes: &[u8]) -> u16 {
    crc16(&IBM, 0, bytes)
}

/// CRC-16/MODBUS (Modbus over Serial Line V1.02, 2.5.1.2). Over a frame with its own sum, low byte first, it is 0.
#[must_use]
pub fn crc16_modbus(bytes: &[u8]) -> u16 {
    crc16(&IBM, 0xFFFF, bytes)
}

/// Block check character of ISO/IEC 1155 as IEC 62056-21 uses it: longitudinal parity of seven-bit characters.
#[must_use]
pub fn bcc(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |bcc, byte| bcc ^ byte) & 0x7F
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_have_the_check_values_of_the_catalogue() {
        assert_eq!(crc16_x25(b"123456789"), 0x906E);
        assert_eq!(crc16_kermit(b"123456789"), 0x2189);
        assert_eq!(crc16_arc(b"123456789"), 0xBB3D);
        assert_eq!(crc16_modbus(b"123456789"), 0x4B37);
    }

    #[test]
    fn nothing_has_the_sum_of_nothing() {
        assert_eq!((crc16_x25(b""), crc16_kermit(b""), crc16_arc(b""), bcc(b"")), (0, 0, 0, 0));
    }

    #[test]
    fn the_block_check_leaves_out_the_parity_bit() {
        // The break command of IEC 62056-21 6.5: SOH B 0 ETX, block check "q" over everything after SOH.
        assert_eq!(bcc(b"B0\x03"), b'q');
        assert_eq!(bcc(b"\xC2\x30\x03"), b'q');
    }
}
