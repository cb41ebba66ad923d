//! Tokens by every algorithm through the real module, which has the host verify what the host can.

use std::time::Duration;

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike, RS256KeyPair, RSAKeyPairLike,
};
use p256::ecdsa::signature::Signer as _;
use portcullis::token::signature::Algorithm;
use serde_json::{Value, json};
use superboring::{
    hash::MessageDigest,
    pkey::PKey,
    reexports::{hmac_sha256, hmac_sha512},
    rsa::Padding,
    sign::Signer,
};

use crate::{
    authorization_server::{encode, with_broken_signature},
    harness::{Client, Envoy, Listener, Plugin, Tool, Version},
};

/// Nothing here makes signatures on P-521, so this one was made elsewhere; it holds until 2100.
const ES512_KEY: &str = r#"{"kty":"EC","crv":"P-521","kid":"ES512","x":"AFKqpAGOVzkJMDrLp_xXpQwdLRmaArcZrEPOZrjiMAGR8xoPYPOucm3yztCPcRydUpxptP29nN42ubWHG4_V1RP6","y":"ADOQhU9ZS_f4AV_0ZENl328ZRMnCg0HcmWE-9AgudTkfLU5CrIlTT31BkXBDre71rqeN139Yl9WOqrG4LDthh4Q7"}"#;
const ES512_TOKEN: &str = "eyJhbGciOiJFUzUxMiIsImtpZCI6IkVTNTEyIn0.eyJpc3MiOiJhbGdvcml0aG1zIiwiZXhwIjo0MTAyNDQ0ODAwfQ.APnGiSC4Sd0AMEG6yicd6Tk2AO764XJsjbK4pWJ_QXNSPoWhq8LSNdVw-hk_TdoPYtI44nvT04gAt3qhLBQNkecxAJiizLrmwP9Vg3XsoTChyU9breHqqRT_g179NExCMvTwcby3s-aegoj1gV09_EK8u2plYb-2QrQHEnrhZtz797DW";

on_every_envoy! {
    needs |version| [Tool::Envoy(version), Tool::Plugin];

    /// Good tokens are let in. Broken ones, ones that claim another algorithm and ones that another
    /// key signed are not, whoever verifies.
    fn tokens_by_every_algorithm(version) {
        let (tokens, jwks) = tokens();
        let rule = json!({"issuer": "algorithms", "jwks": jwks});
        let configuration = json!({"version": 1, "defaultAction": "ALLOW", "jwtRules": [rule]});
        let listener = Listener::new("gateway").direct_response(200, "in");
        let listener = listener.filter(Plugin::new(configuration).inline());
        let envoy = Envoy::builder(version).listener(listener).start();
        let by_host = "signatures verified by the host: RS256, RS384, RS512, ES256, ES384, ES512";
        envoy.wait_for_log(by_host, Duration::from_secs(5));
        let client = envoy.client("gateway");
        let mut good = 0;
        for (algorithm, token) in &tokens {
            assert_eq!(ask(&client, token), (200, "in".to_owned()), "{algorithm}");
            good += 1;
            let broken = (401, "Jwt verification fails".to_owned());
            assert_eq!(ask(&client, &with_broken_signature(token)), broken, "{algorithm}");
            let (signed, signature) = token.rsplit_once('.').expect("a signature");
            let (_, payload) = signed.split_once('.').expect("a payload");
            for (other, of_other) in tokens.iter().filter(|(other, _)| other != algorithm) {
                let (other_signed, _) = of_other.rsplit_once('.').expect("a signature");
                // The signature of one under the header of the other, whose key is then taken.
                let renamed = ask(&client, &format!("{other_signed}.{signature}"));
                assert_eq!(renamed, broken, "{algorithm} as {other}");
                // Its own key, but another algorithm: the key is not for it, or does not verify.
                let kid = key_id(algorithm);
                let header = encode(json!({"alg": other, "kid": kid}).to_string());
                let (status, _) = ask(&client, &format!("{header}.{payload}.{signature}"));
                assert_eq!(status, 401, "{algorithm} as {other} with kid {kid}");
            }
        }
        assert_eq!(good, Algorithm::NAMES.len());
        envoy.assert_no_wasm_failures();
    }
}

fn ask(client: &Client, token: &str) -> (u16, String) {
    let answer = client.get("/").bearer(token).send().expect("an answer");
    (answer.status, answer.text())
}

/// One RSA key, without `alg`, serves six algorithms; one secret serves three.
fn key_id(algorithm: &str) -> &str {
    match algorithm {
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => "rsa",
        "HS256" | "HS384" | "HS512" => "secret",
        own => own,
    }
}

/// A good token by each algorithm, and the key set for all.
fn tokens() -> (Vec<(&'static str, String)>, String) {
    let rsa = RS256KeyPair::generate(2048).expect("an RSA key");
    let (p256, p384) = (ES256KeyPair::generate(), ES384KeyPair::generate());
    let ed25519 = Ed25519KeyPair::generate();
    let secret = [7; 64];
    let jwk = |text: String, kid: &str| {
        let mut jwk: Value = serde_json::from_str(&text).expect("a JWK");
        jwk["kid"] = json!(kid);
        jwk.as_object_mut().expect("an object").remove("alg");
        jwk
    };
    let jwks = json!({"keys": [
        jwk(rsa.public_key().to_jwk(), "rsa"),
        jwk(p256.public_key().to_jwk(), "ES256"),
        jwk(p384.public_key().to_jwk(), "ES384"),
        jwk(ES512_KEY.to_owned(), "ES512"),
        jwk(ed25519.public_key().to_jwk(), "EdDSA"),
        {"kty": "oct", "kid": "secret", "k": encode(secret)},
    ]});
    let by_rsa = |hash: MessageDigest, padding: Padding, message: &[u8]| {
        let key = PKey::from_rsa(rsa.key_pair().as_ref().clone()).expect("an RSA key");
        let mut signer = Signer::new(hash, &key).expect("a signer");
        signer.set_rsa_padding(padding).expect("a padding");
        signer.update(message).expect("a message");
        signer.sign_to_vec().expect("a signature")
    };
    let sign = |algorithm: &str, message: &[u8]| match algorithm {
        "RS256" => by_rsa(MessageDigest::sha256(), Padding::PKCS1, message),
        "RS384" => by_rsa(MessageDigest::sha384(), Padding::PKCS1, message),
        "RS512" => by_rsa(MessageDigest::sha512(), Padding::PKCS1, message),
        "PS256" => by_rsa(MessageDigest::sha256(), Padding::PKCS1_PSS, message),
        "PS384" => by_rsa(MessageDigest::sha384(), Padding::PKCS1_PSS, message),
        "PS512" => by_rsa(MessageDigest::sha512(), Padding::PKCS1_PSS, message),
        "ES256" => {
            let signature: p256::ecdsa::Signature = p256.key_pair().as_ref().sign(message);
            signature.to_bytes().to_vec()
        }
        "ES384" => {
            let signature: p384::ecdsa::Signature = p384.key_pair().as_ref().sign(message);
            signature.to_bytes().to_vec()
        }
        "EdDSA" => {
            let key: &ed25519_compact::KeyPair = ed25519.key_pair().as_ref();
            key.sk.sign(message, None).to_vec()
        }
        "HS256" => hmac_sha256::HMAC::mac(message, secret).to_vec(),
        "HS384" => hmac_sha512::sha384::HMAC::mac(message, secret).to_vec(),
        "HS512" => hmac_sha512::HMAC::mac(message, secret).to_vec(),
        other => panic!("nobody signs by {other}"),
    };
    let tokens = Algorithm::NAMES.iter().map(|(algorithm, _)| {
        if *algorithm == "ES512" {
            return (*algorithm, ES512_TOKEN.to_owned());
        }
        let header = json!({"alg": algorithm, "kid": key_id(algorithm)}).to_string();
        let claims = json!({"iss": "algorithms", "exp": 4_102_444_800_u64}).to_string();
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = sign(algorithm, signed.as_bytes());
        (*algorithm, format!("{signed}.{}", encode(signature)))
    });
    (tokens.collect(), jwks.to_string())
}
