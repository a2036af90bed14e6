//! The sealing key: in a file beside the database, so that who has only the database reads no secret.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::CertError;
use crate::key::random;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// What sealed text begins with. A later format gets another number.
pub const SEALED: &str = PREFIX;
const PREFIX: &str = "sealed:v1:";

/// Seals and opens secrets with AES-256-GCM. Cheap to clone.
#[derive(Clone)]
pub struct SealKey(Arc<RandomizedNonceKey>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// Reads the key from its file; nothing where there is no file.
    ///
    /// # Errors
    /// [`CertError::File`] when the file is readable by others than its owner, or is no key.
    pub fn load_existing(path: &Path) -> Result<Option<Self>, CertError> {
        match Self::load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CertError::file(path, error)),
            Ok(key) => Ok(Some(key)),
        }
    }

    /// Reads the key from its file, or makes a new one where there is no file.
    ///
    /// # Errors
    /// [`CertError::File`] when the file is readable by others than its owner, is no key, or can't be written.
    pub fn load_or_create(path: &Path) -> Result<Self, CertError> {
        match Self::load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(CertError::file(path, error)),
            Ok(key) => return Ok(key),
        }
        // Whoever wrote the file first has made the key, be it another process.
        Self::load(path).map_err(|error| CertError::file(path, error))
    }

    fn load(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let mode = file.metadata()?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            let why =
                format!("others may read this key (mode {mode:o}): `chmod 600` it, or consider its secrets known");
            return Err(io::Error::other(why));
        }
        let bytes = Zeroizing::new(fs::read(path)?);
        Self::from_bytes(&bytes).map_err(|_| io::Error::other(format!("this is not a key of {KEY_BYTES} bytes")))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CertError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes)
            .map(|key| Self(Arc::new(key)))
            .map_err(|_| CertError::Crypto("take up a sealing key"))
    }

    /// A key that is kept nowhere, for tests and dry runs.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn ephemeral() -> Result<Self, CertError> {
        Self::from_bytes(&*Zeroizing::new(random::<KEY_BYTES>()?))
    }

    /// Encrypts. The text says that it is sealed, and no two are the same.
    ///
    /// # Errors
    /// When the cipher fails.
    pub fn seal(&self, plain: &[u8]) -> Result<String, CertError> {
        let mut text = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(PREFIX), &mut text)
            .map_err(|_| CertError::Crypto("seal a secret"))?;
        let sealed = [nonce.as_ref().as_slice(), &text].concat();
        Ok(format!("{PREFIX}{}", STANDARD.encode(sealed)))
    }

    /// Decrypts what [`Self::seal`] has made.
    ///
    /// # Errors
    /// [`CertError::Unsealable`] when it was made with another key or was changed.
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, CertError> {
        let text = sealed.strip_prefix(PREFIX).ok_or(CertError::Unsealable("it is not sealed text"))?;
        let bytes = STANDARD.decode(text).map_err(|_| CertError::Unsealable("it is not base64"))?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(CertError::Unsealable("it is too short"))?;
        let mut plain = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(nonce.into(), Aad::from(PREFIX), &mut plain)
            .map_err(|_| CertError::Unsealable("it was sealed with another key, or changed"))?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Whether a text is one that [`Self::seal`] has made; upstream's are not.
    pub(crate) fn is_sealed(text: &str) -> bool {
        text.starts_with(PREFIX)
    }
}

impl magnum_store::Seal for SealKey {
    fn seal(&self, plain: &[u8]) -> Result<String, magnum_store::SealError> {
        Self::seal(self, plain).map_err(|error| magnum_store::SealError::Failed(error.to_string()))
    }

    fn open(&self, sealed: &str) -> Result<Vec<u8>, magnum_store::SealError> {
        Self::open(self, sealed)
            .map(|plain| plain.to_vec())
            .map_err(|error| magnum_store::SealError::Failed(error.to_string()))
    }
}

/// Writes a new key beside its place and links it there: nobody ever sees half a key, and of two processes that start
/// at once one wins.
fn create(path: &Path) -> Result<(), CertError> {
    let key = Zeroizing::new(random::<KEY_BYTES>()?);
    let beside = path.with_extension(format!("new-{}", uuid::Uuid::new_v4()));
    let written = magnum_files::write_private(&beside, &*key).and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    });
    let removed = fs::remove_file(&beside);
    written.and(removed).map_err(|error| CertError::file(path, error))
}
