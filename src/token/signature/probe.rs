//! One good signature for each algorithm that a host may serve: what it is tried with before it is
//! relied on. The keys protect nothing.

use super::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// A good signature.
pub struct Probe {
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// The public key.
    pub jwk: &'static str,
    /// What is signed.
    pub message: &'static [u8],
    /// In base64url.
    signature: &'static str,
}

/// RS256 and ES256: RFC 7515, A.2 and A.3. The others: Wycheproof, `rsa_signature_2048_sha384` 2,
/// `rsa_signature_2048_sha512` 2, `ecdsa_secp384r1_sha384_p1363` 1, `ecdsa_secp521r1_sha512_p1363` 1.
pub const PROBES: [Probe; 6] = [
    Probe {
        algorithm: Algorithm::Rs256,
        jwk: r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
        message: b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        signature: "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    },
    Probe {
        algorithm: Algorithm::Rs384,
        jwk: r#"{"kty":"RSA","e":"AQAB","n":"zab6XKdr_gSS7Ffgo7__cnLcjR4lrR-zOKoFDwLBBOYxM9a1t8SYXruumsA2pbnAMHTWCuyOJbrzkqDEMP8FuI6UiAXT3XRRHYiFJQp7V0IVraAVxVkHZobiU8zJbAgVsSke54fMM2O0932TDrmY18WCskzqnOId6XInkZiYY6J-vICgDeW9L5Iod15aTOsFTVjJvjagVDNpcaE2Qt2VEN1paqJo2zqrIpnV2I-OViQ00UJwlNPfjnLR72m07TTRK6w3UiOyolzyJ_c1-BboXhcjkwR2mmCCFUzRWJn8Hq77abdIo-XtJNODcll94-TionuVHWrH2xgtaAnY_1Ebfw"}"#,
        message: &[0; 20],
        signature: "DodCryodgumQOKmaCbwYLiExe2kABPz4-sWks5xsTG8y7gOVpCuK7jGnr3zAsCBQh7TL4Y55HB1UVPql3CINOyHkSCLTm-76XpBlT65GIFYxxGkdPngiH0jtwU40KtQtvsz-3gdCC5NSr54KAJxJysK0Vkcy2USVRX3L0vZ_tg_XcIBjHPOLeEozc7ZswtGulxp0IlYsLfXyR2mDJj9lWaj-1pwsdoBvhVO18fIjlnfxpKP19VoA-DkRdPq9KFJQPJ3BMLohnRRXCaTwRb9isieNHJxcLnqB9HdpsqEbGLuGSKMuuYT_eu7ZwO4QI4huakAoEq5lUrA0GbTaJcvzuw",
    },
    Probe {
        algorithm: Algorithm::Rs512,
        jwk: r#"{"kty":"RSA","e":"AQAB","n":"wsSoYCNtPJCWoHbWulEH4Pe9geG6kW9zdXJL0rCwtjlWgTcVo0V6sEWLcfs1pFsn-e96w-V53qRd-_0HgZ7WtwIapTNsWEQqrdlsqe6dMkc-nZJ4VitNECWK3mqY-xx8_cOzcW713sWM9zs1nziVmbS1hlqYY1GesAHDJDh9p1VFDbNBMJNg44B8BWW44sRPvV5ujQTQBtfudouOhDYIKpD6DoN_MvRgh6tKDZviiqfaF5TOsBcqf1DtIPbfZB77y_0qrIl3XHYacxAJPGccl3-hiw1uAfsl96QytCxlNZeExokgVxnBz246Zdri2kNMMm3egbtv__vb9t5cFrunSQ"}"#,
        message: &[0; 20],
        signature: "TeTb-CYHs2pcZ3iuY1HYO371tK9kw3iIiesQ7xg4gihHzrUxkUOSNguS3uBVeW9z4824s9UJEKU33SJE_X-SJ4A1bqPwHpnlvryxtu85jSOZvQJHKocUF9rsO75vifRfGvC_gZpEbcu7dcVpWNNLonyBIM7m_5ckKSHM9Y3pIWmV-gxJyz5tYORkEbLfOwG3j6gcoUXOi-WU7gCQMe2mcusJe6XtZoenA7FU72FnV_lCN_QnX1RzjLWdNrIKnISuEzvXFXR5UvAiJXOpH690Dkt-tOiKuqkQBOcqFwm0AWFrLtsnhOSR9nH89evjJrZp-sql2KD2-EaeqZXE23cvBg",
    },
    Probe {
        algorithm: Algorithm::Es256,
        jwk: r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        message: b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    },
    Probe {
        algorithm: Algorithm::Es384,
        jwk: r#"{"kty":"EC","crv":"P-384","x":"LaV92hCJJ2pUP5_9rAv_DZdsrXHrcoDn2b_Z_uS9svIPR_-IgnQ4l3LZjMV1ITiq","y":"S20FTWnc8-JexJ34cHFeNIg7GDYZfXb4rZYuePZXG7x0B7DWCR-eTYjwFCdEBhdP"}"#,
        message: b"123400",
        signature: "ErMKvva1R2_mthKuVXwEJWYeJrRLG_4Z2vLKKOMRMIO6jkrkzEWgMgq9M5TxxUjXGEDan8HS-PiQDPSF1UE7jCV07jqNTKA5lcowJA4JUTgFv2IJtYrHqpz_VO7Ngrnx",
    },
    Probe {
        algorithm: Algorithm::Es512,
        jwk: r#"{"kty":"EC","crv":"P-521","x":"AFxkV-wIjVMvSCCTllrlPM0H5VbtWeKvlFzYx6lcHGRPilaoqKPNdzkt3YYeipJNrJnGkGkJO9UqUvpsVgBKB0UI","y":"AHh41tQuS03R6cBpbLPhn2MDPD205g1HMlmz6-B5qvCphu5hd_ghenjGi4E_fhSaTlb9lWLAf-09iVlC19EBy4P2"}"#,
        message: b"123400",
        signature: "AE5CI-5D6MuJ3jsTOf_CeeWC-Cx6sPcbveQ9vjdKx1_77yms345wdQuaBPZv2kg1Hee7_VFXILDsXNc2-bc734ZFAddKL22Vvo1Mtk8C0W1reFoSRrTr0gbcWWgYu5UyUyRfWieiShquHiGP3M2M19SZC2ZtS_SQK4T9rRI_lB_pBtlI",
    },
];

// === impl Probe ===

impl Probe {
    /// The signature as a JWS carries it.
    #[must_use]
    pub fn signature(&self) -> Vec<u8> {
        BASE64URL.decode(self.signature).unwrap_or_default()
    }

    /// A message that is not the signed one.
    #[must_use]
    pub fn other_message(&self) -> &'static [u8] {
        self.message.get(1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::signature::{Provenance, PureRust, Verifier, VerifyingKey, envoy};

    #[test]
    fn what_a_host_is_tried_with_is_good_and_its_opposite_is_bad() {
        for probe in &PROBES {
            let jwk = serde_json::from_str(probe.jwk).unwrap();
            let key = VerifyingKey::from_jwk(&jwk, Provenance::Fetched).unwrap();
            let verify =
                |message| PureRust.verify(probe.algorithm, &key, message, &probe.signature());
            // Nobody here can tell for ES512; `tests/envoy/algorithms.rs` asks Envoys.
            let known = PureRust.serves(probe.algorithm);
            assert_eq!(verify(probe.message), known, "{}", probe.algorithm);
            assert!(!verify(probe.other_message()), "{}", probe.algorithm);
            let question =
                |message| envoy::arguments(probe.algorithm, &key, message, &probe.signature());
            assert_ne!(
                question(probe.message).unwrap(),
                question(probe.other_message()).unwrap()
            );
        }
    }
}
