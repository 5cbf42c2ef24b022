//! Asymmetric keys: made, told by their public half, used. Their material is kept as PKCS#8.

use aws_lc_rs::{
    digest::{self, Digest, SHA256, SHA384},
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    rsa::{
        self, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    },
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
        ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair,
        PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::kernel::Refusal;

/// What an asymmetric key does, and how.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    /// RSA encryption with OAEP, SHA-256 throughout.
    Oaep(KeySize),
    /// RSA signatures with PSS and SHA-256.
    Pss(KeySize),
    /// RSA signatures as in PKCS#1 v1.5 with SHA-256.
    Pkcs1(KeySize),
    /// ECDSA signatures in ASN.1.
    Ec(&'static EcdsaSigningAlgorithm, &'static digest::Algorithm),
    /// ML-DSA signatures.
    MlDsa(&'static PqdsaSigningAlgorithm, &'static PqdsaVerificationAlgorithm),
}

fn failed(_: Unspecified) -> Refusal {
    Refusal::Internal("an asymmetric key could not be used".into())
}

fn rejected(_: KeyRejected) -> Refusal {
    Refusal::Internal("a key's material is damaged".into())
}

impl Algorithm {
    /// The algorithm of this name; none where it is no asymmetric one.
    pub(super) fn named(name: &str) -> Option<Self> {
        let size = if name.contains("_2048_") {
            KeySize::Rsa2048
        } else if name.contains("_3072_") {
            KeySize::Rsa3072
        } else {
            KeySize::Rsa4096
        };
        Some(match name {
            "ec_p256_sha256" => Self::Ec(&ECDSA_P256_SHA256_ASN1_SIGNING, &SHA256),
            "ec_p384_sha384" => Self::Ec(&ECDSA_P384_SHA384_ASN1_SIGNING, &SHA384),
            "ml_dsa_44" => Self::MlDsa(&ML_DSA_44_SIGNING, &ML_DSA_44),
            "ml_dsa_65" => Self::MlDsa(&ML_DSA_65_SIGNING, &ML_DSA_65),
            "ml_dsa_87" => Self::MlDsa(&ML_DSA_87_SIGNING, &ML_DSA_87),
            _ if name.starts_with("rsa_oaep_") => Self::Oaep(size),
            _ if name.starts_with("rsa_pss_") => Self::Pss(size),
            _ if name.starts_with("rsa_pkcs1_") => Self::Pkcs1(size),
            _ => return None,
        })
    }

    /// Whether making a key takes so long that others should not wait for it.
    pub(super) fn is_slow(self) -> bool {
        matches!(self, Self::Oaep(_) | Self::Pss(_) | Self::Pkcs1(_))
    }

    /// A new private key.
    pub(super) fn generate(self) -> Result<Vec<u8>, Refusal> {
        let pkcs8 = match self {
            Self::Oaep(size) | Self::Pss(size) | Self::Pkcs1(size) => {
                let pair = rsa::KeyPair::generate(size).map_err(failed)?;
                AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec()
            }
            Self::Ec(algorithm, _) => {
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
                document.map_err(failed)?.as_ref().to_vec()
            }
            Self::MlDsa(algorithm, _) => {
                let pair = PqdsaKeyPair::generate(algorithm).map_err(failed)?;
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
        };
        Ok(pkcs8)
    }

    /// The public half, as PEM of its SubjectPublicKeyInfo.
    pub(super) fn public_key(self, pkcs8: &[u8]) -> Result<String, Refusal> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Oaep(_) | Self::Pss(_) | Self::Pkcs1(_) => {
                rsa::KeyPair::from_pkcs8(pkcs8).map_err(rejected)?.public_key().as_der()
            }
            Self::Ec(algorithm, _) => {
                EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(rejected)?.public_key().as_der()
            }
            Self::MlDsa(algorithm, _) => {
                PqdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(rejected)?.public_key().as_der()
            }
        }
        .map_err(failed)?;
        let base64 = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    /// How long the digest of a message is that this signs; none where any bytes are signed.
    pub(super) fn digest_length(self) -> Option<usize> {
        Some(self.digest()?.output_len())
    }

    fn digest(self) -> Option<&'static digest::Algorithm> {
        match self {
            Self::Pss(_) | Self::Pkcs1(_) => Some(&SHA256),
            Self::Ec(_, digest) => Some(digest),
            Self::Oaep(_) | Self::MlDsa(..) => None,
        }
    }

    fn imported(self, digest: &[u8]) -> Result<Digest, Refusal> {
        let algorithm = self.digest().ok_or_else(|| failed(Unspecified))?;
        Digest::import_less_safe(digest, algorithm).map_err(failed)
    }

    /// Signs a digest of the right length.
    pub(super) fn sign(self, pkcs8: &[u8], digest: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Ec(algorithm, _) => {
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(rejected)?;
                Ok(pair.sign_digest(&self.imported(digest)?).map_err(failed)?.as_ref().to_vec())
            }
            Self::MlDsa(algorithm, _) => {
                let pair = PqdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(rejected)?;
                let mut signature = vec![0; algorithm.signature_len()];
                let length = pair.sign(digest, &mut signature).map_err(failed)?;
                signature.truncate(length);
                Ok(signature)
            }
            Self::Oaep(_) | Self::Pss(_) | Self::Pkcs1(_) => {
                let pair = rsa::KeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if let Self::Pkcs1(_) = self { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                pair.sign_digest(padding, &self.imported(digest)?, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// Whether a signature is this key's, of this digest.
    pub(super) fn verify(self, pkcs8: &[u8], digest: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        let valid = match self {
            Self::Ec(algorithm, _) => {
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(rejected)?;
                let public = UnparsedPublicKey::new(&**algorithm, pair.public_key().as_ref());
                public.verify_digest(&self.imported(digest)?, signature)
            }
            Self::MlDsa(algorithm, rules) => {
                let pair = PqdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(rejected)?;
                UnparsedPublicKey::new(rules, pair.public_key().as_ref()).verify(digest, signature)
            }
            Self::Oaep(_) | Self::Pss(_) | Self::Pkcs1(_) => {
                let pair = rsa::KeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let rules =
                    if let Self::Pkcs1(_) = self { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
                let public = UnparsedPublicKey::new(rules, pair.public_key().as_ref());
                public.verify_digest(&self.imported(digest)?, signature)
            }
        };
        Ok(valid.is_ok())
    }
}

/// The most that RSA encryption takes under this key, in bytes.
pub(super) fn most(pkcs8: &[u8]) -> Result<usize, Refusal> {
    Ok(encrypting(pkcs8)?.max_plaintext_size(&OAEP_SHA256_MGF1SHA256))
}

fn encrypting(pkcs8: &[u8]) -> Result<OaepPublicEncryptingKey, Refusal> {
    let private = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(rejected)?;
    OaepPublicEncryptingKey::new(private.public_key()).map_err(failed)
}

/// Encrypts with OAEP.
pub(super) fn encrypt(pkcs8: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
    let key = encrypting(pkcs8)?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    let written = key.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut ciphertext, None).map_err(failed)?.len();
    ciphertext.truncate(written);
    Ok(ciphertext)
}

/// Decrypts with OAEP; none where this key did not encrypt it.
pub(super) fn decrypt(pkcs8: &[u8], ciphertext: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let private = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(rejected)?;
    let key = OaepPrivateDecryptingKey::new(private).map_err(failed)?;
    let mut plaintext = vec![0; key.min_output_size()];
    let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, None);
    Ok(opened.ok().map(|opened| opened.to_vec()))
}
