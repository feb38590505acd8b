//! Encipherment mode 5 (EN 13757-7, 7.6; OMS vol. 2, 9): AES-128 in CBC mode with the meter's key.
//!
//! Always true here: plain bytes leave this module only when they begin with the two fillers `2F 2F` that the standard puts there as
//! a check; anything else is a wrong key. A key prints as dots. Deliberately absent: where keys come from.

use std::fmt;

use aes::Aes128;
use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit};

use super::header::{Configuration, Header, Identity};
use super::{AnswerError, Medium};

/// What the enciphered part begins with once it is plain.
const CHECK: [u8; 2] = [0x2F, 0x2F];
/// AES-128-CBC with an initialisation vector made of the header.
const MODE_CBC: u8 = 5;
/// Bytes of a block.
const BLOCK: usize = 16;

/// The key of one meter.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 16]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Whose telegram it is and how to read it, where the telegram does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Secrets<'a> {
    /// The meter's key.
    pub key: Option<&'a Key>,
    /// Who was asked: needed for enciphered answers with the short header (CI 7A), which do not tell. The caller vouches for it: a
    /// wrong number with the right key spoils the first block and passes the check.
    pub identity: Option<&'a Identity>,
}

/// The plain records. `None`: they were plain already.
pub(super) fn open(header: &Header, data: &[u8], secrets: Secrets) -> Result<Option<Vec<u8>>, AnswerError> {
    let Some(configuration) = header.configuration.filter(|configuration| is_enciphered(*configuration, data)) else {
        return Ok(None);
    };
    if configuration.mode() != MODE_CBC {
        return Err(AnswerError::Mode(configuration.mode()));
    }
    let key = secrets.key.ok_or(AnswerError::NoKey)?;
    let identity = header.identity.or(secrets.identity.copied()).ok_or(AnswerError::NoIdentity)?;
    let iv = vector(&identity, header.access.unwrap_or_default()).ok_or(AnswerError::NoIdentity)?;
    decipher(data, configuration.blocks(), key, iv).map(Some)
}

/// Modes that name a cipher. Others are signatures of old meters, whose records are plain. A telegram that begins with the check is
/// plain too, whoever deciphered it, and so is one that is shorter than the blocks it announces.
fn is_enciphered(configuration: Configuration, data: &[u8]) -> bool {
    let blocks = configuration.blocks();
    match configuration.mode() {
        _ if data.is_empty() || data.starts_with(&CHECK) => false,
        MODE_CBC => blocks > 0 && blocks * BLOCK <= data.len(),
        2 | 3 | 4 | 7 | 8 | 9 | 10 | 13 => true,
        _ => false,
    }
}

/// Manufacturer, identification, version, medium as in the long header, then eight times the access number.
fn vector(identity: &Identity, access: u8) -> Option<[u8; BLOCK]> {
    let [m0, m1] = identity.manufacturer?.0.to_le_bytes();
    let [i0, i1, i2, i3] = identity.id.0.to_le_bytes();
    let Medium::Variable(medium) = identity.medium else { return None };
    let mut vector = [access; BLOCK];
    let own = [m0, m1, i0, i1, i2, i3, identity.version?, medium];
    vector.iter_mut().zip(own).for_each(|(to, from)| *to = from);
    Some(vector)
}

/// The blocks made plain, and what stands behind them as it is.
fn decipher(data: &[u8], blocks: usize, key: &Key, iv: [u8; BLOCK]) -> Result<Vec<u8>, AnswerError> {
    let mut plain = data.to_vec();
    let mut cipher = cbc::Decryptor::<Aes128>::new(&Array(key.0), &Array(iv));
    for chunk in plain.chunks_exact_mut(BLOCK).take(blocks) {
        if let Ok(block) = <&mut Array<u8, _>>::try_from(chunk) {
            cipher.decrypt_block(block);
        }
    }
    if plain.starts_with(&CHECK) { Ok(plain) } else { Err(AnswerError::WrongKey) }
}
