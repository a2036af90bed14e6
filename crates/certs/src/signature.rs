//! Whether a signing request was signed with the key it is about, for every kind of key that a client may sanely have;
//! and why not, in words that say what would be right.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P256K1_SHA256_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA224_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPssSaltLength, VerificationAlgorithm,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::der_parser::asn1_rs::{Tag, oid};
use x509_parser::oid_registry::{self as registry, Oid};
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// Fewest bits of an RSA key: what every current guideline asks for, and what clients of the certificate would refuse.
const SMALLEST_RSA: usize = 2048;
/// Most bits of an RSA key: beyond that the libraries that have to check it give up.
const GREATEST_RSA: usize = 8192;
/// Greatest number of bits of an RSA key's public exponent, by the same libraries.
const GREATEST_EXPONENT: u32 = 33;

/// What may be used instead of a key that can't be.
const KEYS: &str = "use RSA with 2048 to 8192 bits, the elliptic curves P-256, P-384, P-521 or secp256k1, or Ed25519";

/// A kind of key that can be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Rsa,
    P256,
    P384,
    P521,
    P256k1,
    Ed25519,
}

const SECP256K1: Oid<'static> = oid!(1.3.132.0.10);
const MGF1: Oid<'static> = oid!(1.2.840.113549.1.1.8);

/// Checks that the request was signed with its own key.
///
/// # Errors
/// What is wrong with key or signature, to be put after "it" or "its".
pub(crate) fn check(request: &X509CertificationRequest<'_>) -> Result<(), String> {
    let info = &request.certification_request_info;
    let key = key(&info.subject_pki)?;
    let algorithm = &request.signature_algorithm;
    let key_data = &info.subject_pki.subject_public_key.data;
    let (message, signature) = (info.raw, &request.signature_value.data);
    let verified = if key == Key::Rsa && algorithm.algorithm == registry::OID_PKCS1_RSASSAPSS {
        pss(algorithm)?.verify_sig(key_data, message, signature)
    } else {
        let verification = ordinary(key, &algorithm.algorithm).ok_or_else(|| unknown(key, &algorithm.algorithm))?;
        verification.verify_sig(key_data, message, signature)
    };
    verified.map_err(|_| {
        "its signature does not fit its public key: sign the request with the private key that belongs to it".to_owned()
    })
}

/// The kind of the key, if it is one that can be signed.
fn key(info: &SubjectPublicKeyInfo<'_>) -> Result<Key, String> {
    let kind = &info.algorithm.algorithm;
    if *kind == registry::OID_PKCS1_RSAENCRYPTION || *kind == registry::OID_PKCS1_RSASSAPSS {
        // What the library does not take for RSA by the number of its kind is RSA all the same.
        let plain = AlgorithmIdentifier::new(registry::OID_PKCS1_RSAENCRYPTION, None);
        let info = SubjectPublicKeyInfo { algorithm: plain, ..info.clone() };
        return match info.parsed() {
            Ok(PublicKey::RSA(rsa)) => sound(&rsa).map(|()| Key::Rsa),
            _ => Err("its RSA key can't be read".to_owned()),
        };
    }
    if *kind == registry::OID_SIG_ED25519 {
        return Ok(Key::Ed25519);
    }
    if *kind != registry::OID_KEY_TYPE_EC_PUBLIC_KEY {
        return Err(format!("its key is of the kind {}, which is not supported: {KEYS}", name(kind)));
    }
    let curve = info.algorithm.parameters.as_ref().filter(|parameters| parameters.tag() == Tag::Oid);
    let curve = curve.and_then(|parameters| parameters.as_oid().ok());
    let Some(curve) = curve else {
        return Err(format!("its key does not name its elliptic curve: {KEYS}"));
    };
    let curves = [
        (registry::OID_EC_P256, Key::P256),
        (registry::OID_NIST_EC_P384, Key::P384),
        (registry::OID_NIST_EC_P521, Key::P521),
        (SECP256K1, Key::P256k1),
    ];
    let known = curves.into_iter().find(|(known, _)| *known == curve).map(|(_, key)| key);
    known.ok_or_else(|| format!("its key is on the elliptic curve {}, which is not supported: {KEYS}", name(&curve)))
}

/// Refuses RSA keys that are too weak, or that nobody could check.
fn sound(key: &RSAPublicKey<'_>) -> Result<(), String> {
    let digits = |number: &[u8]| {
        let first = number.iter().position(|byte| *byte != 0)?;
        Some((number.len() - first) * 8 - number[first].leading_zeros() as usize)
    };
    let bits = digits(key.modulus).unwrap_or_default();
    if bits < SMALLEST_RSA {
        return Err(format!(
            "its RSA key has {bits} bits, which is too small to be safe: make one of {SMALLEST_RSA} to {GREATEST_RSA} bits"
        ));
    }
    if bits > GREATEST_RSA {
        return Err(format!(
            "its RSA key has {bits} bits, which is more than is supported: make one of {SMALLEST_RSA} to {GREATEST_RSA} bits"
        ));
    }
    match key.try_exponent() {
        Ok(exponent) if exponent >= 3 && exponent % 2 == 1 && exponent.ilog2() < GREATEST_EXPONENT => Ok(()),
        _ => Err("its RSA key has an exponent that is not safe: make a key with the exponent 65537".to_owned()),
    }
}

/// How a signature of a kind is checked with a key of a kind; `None` for pairs that don't go together.
fn ordinary(key: Key, algorithm: &Oid<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let table: [(Key, Oid<'static>, &'static dyn VerificationAlgorithm); 17] = [
        // It proves that somebody has the key, and nothing else rests on it: SHA-1, which old tools use, is enough for that.
        (Key::Rsa, registry::OID_PKCS1_SHA1WITHRSA, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        (Key::Rsa, registry::OID_SHA1_WITH_RSA, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        (Key::Rsa, registry::OID_PKCS1_SHA256WITHRSA, &RSA_PKCS1_2048_8192_SHA256),
        (Key::Rsa, registry::OID_PKCS1_SHA384WITHRSA, &RSA_PKCS1_2048_8192_SHA384),
        (Key::Rsa, registry::OID_PKCS1_SHA512WITHRSA, &RSA_PKCS1_2048_8192_SHA512),
        (Key::P256, registry::OID_SIG_ECDSA_WITH_SHA256, &ECDSA_P256_SHA256_ASN1),
        (Key::P256, registry::OID_SIG_ECDSA_WITH_SHA384, &ECDSA_P256_SHA384_ASN1),
        (Key::P256, registry::OID_SIG_ECDSA_WITH_SHA512, &ECDSA_P256_SHA512_ASN1),
        (Key::P384, registry::OID_SIG_ECDSA_WITH_SHA256, &ECDSA_P384_SHA256_ASN1),
        (Key::P384, registry::OID_SIG_ECDSA_WITH_SHA384, &ECDSA_P384_SHA384_ASN1),
        (Key::P384, registry::OID_SIG_ECDSA_WITH_SHA512, &ECDSA_P384_SHA512_ASN1),
        (Key::P521, registry::OID_SIG_ECDSA_WITH_SHA224, &ECDSA_P521_SHA224_ASN1),
        (Key::P521, registry::OID_SIG_ECDSA_WITH_SHA256, &ECDSA_P521_SHA256_ASN1),
        (Key::P521, registry::OID_SIG_ECDSA_WITH_SHA384, &ECDSA_P521_SHA384_ASN1),
        (Key::P521, registry::OID_SIG_ECDSA_WITH_SHA512, &ECDSA_P521_SHA512_ASN1),
        (Key::P256k1, registry::OID_SIG_ECDSA_WITH_SHA256, &ECDSA_P256K1_SHA256_ASN1),
        (Key::Ed25519, registry::OID_SIG_ED25519, &ED25519),
    ];
    table.into_iter().find(|(of, number, _)| *of == key && number == algorithm).map(|(_, _, how)| how)
}

/// How an RSA-PSS signature with its own digest and length of salt is checked.
fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Result<RsaParameters, String> {
    let digests = "sign with SHA-256, SHA-384 or SHA-512, and with MGF1 of the same";
    let parameters = algorithm.parameters.as_ref().and_then(|any| RsaSsaPssParams::try_from(any).ok());
    let Some(parameters) = parameters else {
        return Err(format!("the parameters of its RSA-PSS signature can't be read: {digests}"));
    };
    let digest = parameters.hash_algorithm_oid();
    let known = [
        (registry::OID_NIST_HASH_SHA256, RSA_PSS_2048_8192_SHA256),
        (registry::OID_NIST_HASH_SHA384, RSA_PSS_2048_8192_SHA384),
        (registry::OID_NIST_HASH_SHA512, RSA_PSS_2048_8192_SHA512),
    ];
    let known = known.into_iter().find(|(number, _)| number == digest).map(|(_, how)| how);
    let how = known.ok_or_else(|| format!("its RSA-PSS signature uses the digest {}: {digests}", name(digest)))?;
    let mask = parameters.mask_gen_algorithm().ok();
    if mask.is_none_or(|mask| mask.mgf != MGF1 || mask.hash != *digest) || parameters.trailer_field() != 1 {
        return Err(format!("the parameters of its RSA-PSS signature are unusual: {digests}"));
    }
    let salt = u16::try_from(parameters.salt_length())
        .map_err(|_| "the salt of its RSA-PSS signature is longer than any key".to_owned())?;
    Ok(how.with_pss_salt_length(RsaPssSaltLength::Custom(salt)))
}

fn unknown(key: Key, algorithm: &Oid<'_>) -> String {
    let (what, instead) = match key {
        Key::Rsa => ("an RSA key", "sign with SHA-256, SHA-384 or SHA-512"),
        Key::P256 | Key::P384 | Key::P521 => ("a key on its curve", "sign with ECDSA and SHA-256, SHA-384 or SHA-512"),
        Key::P256k1 => ("a key on its curve", "sign with ECDSA and SHA-256"),
        Key::Ed25519 => ("an Ed25519 key", "sign with Ed25519"),
    };
    format!("its signature algorithm {} is not supported for {what}: {instead}", name(algorithm))
}

/// The name of an algorithm, kind of key or curve, or its number when it has none that we know.
fn name(number: &Oid<'_>) -> String {
    let known = [
        (oid!(1.3.101.110), "X25519"),
        (oid!(1.3.101.111), "X448"),
        (registry::OID_SIG_ED448, "Ed448"),
        (registry::OID_KEY_TYPE_DSA, "DSA"),
        (oid!(1.3.132.0.33), "secp224r1"),
        (oid!(1.2.840.10045.3.1.1), "prime192v1"),
        (oid!(1.3.36.3.3.2.8.1.1.7), "brainpoolP256r1"),
        (oid!(1.3.36.3.3.2.8.1.1.11), "brainpoolP384r1"),
        (oid!(1.3.36.3.3.2.8.1.1.13), "brainpoolP512r1"),
        (registry::OID_PKCS1_MD5WITHRSAENC, "md5WithRSAEncryption"),
        (registry::OID_PKCS1_SHA224WITHRSA, "sha224WithRSAEncryption"),
        (registry::OID_SIG_ECDSA_WITH_SHA224, "ecdsa-with-SHA224"),
        (oid!(1.2.840.10045.4.1), "ecdsa-with-SHA1"),
        (registry::OID_HASH_SHA1, "SHA-1"),
    ];
    let name = known.into_iter().find(|(known, _)| known == number).map(|(_, name)| name);
    name.map_or_else(|| number.to_id_string(), str::to_owned)
}
