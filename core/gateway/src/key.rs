//! The keys that tokens are checked with. Each key is bound to its family of algorithms, so that a token can't have
//! a public key taken for a secret.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use rand::Rng;
use ring::{hmac, signature};

use crate::error::GatewayError;

/// The keys of one kind (client or admin) of one app: a token that any of them signed is good.
///
/// Secrets take HS256, HS384 and HS512; RSA keys RS256; P-256 keys ES256; Ed25519 keys EdDSA.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    /// The JWKS's name for it. A token that names a key is checked with no other.
    id: Option<String>,
    /// The one algorithm that the JWKS allows it for.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, PartialEq)]
enum Material {
    Secret(Box<[u8]>),
    /// An RSA public key as PKCS#1 DER.
    Rsa(Box<[u8]>),
    RsaParts {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
    P256(Box<[u8]>),
    Ed25519(Box<[u8]>),
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.len())
    }
}

impl KeySet {
    /// A shared secret for HS256, HS384 and HS512.
    pub fn secret(secret: impl AsRef<[u8]>) -> Self {
        KeySet::of(Material::Secret(secret.as_ref().into()))
    }

    /// A fresh random secret of 32 bytes.
    pub fn generate() -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        KeySet::secret(secret)
    }

    /// A public key in PEM: RSA (for RS256), P-256 (for ES256) or Ed25519 (for EdDSA).
    ///
    /// # Errors
    /// [`GatewayError::InvalidKey`] when it is none of these, or a private key.
    pub fn pem(pem: &str) -> Result<Self, GatewayError> {
        if pem.contains("PRIVATE KEY") {
            return Err(GatewayError::InvalidKey("this is a private key; give its public key".into()));
        }
        let bytes = pem.as_bytes();
        let decoding = DecodingKey::from_ed_pem(bytes)
            .or_else(|_| DecodingKey::from_ec_pem(bytes))
            .or_else(|_| DecodingKey::from_rsa_pem(bytes))
            .map_err(|_| GatewayError::InvalidKey("not a public RSA, P-256 or Ed25519 key in PEM".into()))?;
        Ok(KeySet::of(Material::public(&decoding)?))
    }

    /// The keys of a JWKS document (RFC 7517). Keys for encryption are left out.
    ///
    /// # Errors
    /// [`GatewayError::InvalidKey`] when it can't be read, holds no usable key, or one of a kind not supported.
    pub fn jwks(json: &str) -> Result<Self, GatewayError> {
        // serde_json's message may quote the document, so only its place is told.
        let set: JwkSet = serde_json::from_str(json).map_err(|error| {
            GatewayError::InvalidKey(format!("not a JWKS (line {}, column {})", error.line(), error.column()))
        })?;
        let signing = set.keys.iter().filter(|jwk| jwk.common.public_key_use != Some(PublicKeyUse::Encryption));
        let keys = signing.map(Key::from_jwk).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(GatewayError::InvalidKey("the JWKS holds no key for signatures".into()));
        }
        Ok(KeySet { keys })
    }

    /// Reads PEM, JWKS, or else takes the text as a secret, without white space around it: what a key file holds.
    ///
    /// # Errors
    /// As [`KeySet::pem`] and [`KeySet::jwks`]; or when the text is empty.
    pub fn parse(text: &str) -> Result<Self, GatewayError> {
        match text.trim() {
            "" => Err(GatewayError::InvalidKey("it is empty".into())),
            pem if pem.starts_with("-----BEGIN") => KeySet::pem(pem),
            json if json.starts_with('{') => KeySet::jwks(json),
            secret => Ok(KeySet::secret(secret)),
        }
    }

    /// These keys and those of `other`: for rotating keys.
    #[must_use]
    pub fn and(mut self, other: KeySet) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Whether there is none, so that no token is good.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn of(material: Material) -> Self {
        KeySet { keys: vec![Key { id: None, only: None, material }] }
    }

    /// Whether one of these keys is also one of `other`.
    pub(crate) fn overlaps(&self, other: &KeySet) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|theirs| key.material == theirs.material))
    }

    /// A secret to sign tokens with, if there is one.
    pub(crate) fn signing_secret(&self) -> Option<&[u8]> {
        self.keys.iter().find_map(|key| match &key.material {
            Material::Secret(secret) if key.only.is_none_or(|only| only == Algorithm::HS256) => Some(&**secret),
            _ => None,
        })
    }

    /// Whether one of the keys signed `message` with `algorithm`.
    pub(crate) fn verify(&self, algorithm: Algorithm, key_id: Option<&str>, message: &[u8], signature: &[u8]) -> bool {
        self.keys.iter().any(|key| {
            let named = match (&key.id, key_id) {
                (Some(own), Some(asked)) => own == asked,
                _ => true,
            };
            named && key.only.is_none_or(|only| only == algorithm) && key.material.verify(algorithm, message, signature)
        })
    }
}

impl Key {
    fn from_jwk(jwk: &Jwk) -> Result<Self, GatewayError> {
        let invalid = |_| GatewayError::InvalidKey("a key of the JWKS can't be read".into());
        if let AlgorithmParameters::EllipticCurve(curve) = &jwk.algorithm
            && curve.curve != EllipticCurve::P256
        {
            return Err(GatewayError::InvalidKey("a key of the JWKS is of a curve that is not supported".into()));
        }
        let decoding = DecodingKey::from_jwk(jwk).map_err(invalid)?;
        let material = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => Material::Secret(decoding.try_get_as_bytes().map_err(invalid)?.into()),
            _ => Material::public(&decoding)?,
        };
        let only = match jwk.common.key_algorithm {
            None => None,
            Some(KeyAlgorithm::HS256) => Some(Algorithm::HS256),
            Some(KeyAlgorithm::HS384) => Some(Algorithm::HS384),
            Some(KeyAlgorithm::HS512) => Some(Algorithm::HS512),
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
            Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
            Some(other) => {
                return Err(GatewayError::InvalidKey(format!("a key of the JWKS is for {other}, not supported")));
            }
        };
        Ok(Key { id: jwk.common.key_id.clone(), only, material })
    }
}

impl Material {
    fn public(key: &DecodingKey) -> Result<Self, GatewayError> {
        use jsonwebtoken::AlgorithmFamily as Family;
        let material = match (key.family(), key.kind()) {
            (Family::Rsa, DecodingKeyKind::SecretOrDer(der)) => Material::Rsa(der[..].into()),
            (Family::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                Material::RsaParts { n: n[..].into(), e: e[..].into() }
            }
            // An uncompressed point: 4, x, y. A longer one is of another curve.
            (Family::Ec, DecodingKeyKind::SecretOrDer(point)) if point.len() == 65 => Material::P256(point[..].into()),
            (Family::Ed, DecodingKeyKind::SecretOrDer(point)) if point.len() == 32 => {
                Material::Ed25519(point[..].into())
            }
            _ => return Err(GatewayError::InvalidKey("not an RSA, P-256 or Ed25519 key".into())),
        };
        Ok(material)
    }

    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let public = |method: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            signature::UnparsedPublicKey::new(method, key).verify(message, signature).is_ok()
        };
        match (self, algorithm) {
            (Material::Secret(secret), Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) => {
                let hash = match algorithm {
                    Algorithm::HS256 => hmac::HMAC_SHA256,
                    Algorithm::HS384 => hmac::HMAC_SHA384,
                    _ => hmac::HMAC_SHA512,
                };
                hmac::verify(&hmac::Key::new(hash, secret), message, signature).is_ok()
            }
            (Material::Rsa(der), Algorithm::RS256) => public(&signature::RSA_PKCS1_2048_8192_SHA256, der),
            (Material::RsaParts { n, e }, Algorithm::RS256) => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Material::P256(point), Algorithm::ES256) => public(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::Ed25519(point), Algorithm::EdDSA) => public(&signature::ED25519, point),
            _ => false,
        }
    }
}

/// Signs a token's first two parts with HS256.
pub(crate) fn sign(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}
