//! Envoy's `verify_signature` by itself, asked as the plugin asks: every verdict of Wycheproof.
//!
//! The shipped module has no door for this. A module of a few instructions, made here, hands the
//! body of a request to the host and answers with what the host says; the question is written and
//! the answer read by the plugin's own code (`token::signature::envoy`).

use std::{collections::BTreeMap, fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use portcullis::token::signature::{Algorithm, PROBES, Provenance, VerifyingKey, envoy};
use serde_json::json;
use tempfile::TempDir;
use walrus::{
    ConstExpr, DataKind, FunctionBuilder, FunctionId, InstrSeqBuilder, LocalId, MemoryId, Module,
    ModuleConfig, ValType,
    ir::{BinaryOp, LoadKind, MemArg, StoreKind, Value},
};

use crate::{
    harness::{Client, Envoy, Filter, Listener, Plugin, Tool, Version},
    rfc_examples,
    vectors::{self, Verdict},
};

on_every_envoy! {
    needs |version| [Tool::Envoy(version)];

    /// What the host says to each signature is what the pure Rust way owes, too.
    fn every_verdict_of_wycheproof(version) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let envoy = start(version, &folder);
        let client = envoy.client("oracle");
        let (mut counts, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
        let served = |set: &vectors::Set| PROBES.iter().any(|it| it.algorithm == set.algorithm);
        for set in vectors::all().into_iter().filter(served) {
            for vector in &set.vectors {
                let Ok(key) = vector.key() else {
                    assert!(matches!(vector.owed, Verdict::KeyRefused(_)), "{}", set.name);
                    *counts.entry("key refused, not asked").or_default() += 1;
                    continue;
                };
                let question = envoy::arguments(set.algorithm, &key, &vector.message, &vector.signature);
                let (kind, good) = match question {
                    None => ("form refused, not asked", false),
                    Some(question) if ask(&client, &question) => ("accepted", true),
                    Some(_) => ("refused", false),
                };
                *counts.entry(kind).or_default() += 1;
                if good != (vector.owed == Verdict::Good) {
                    let (name, number) = (&set.name, vector.number);
                    wrong.push(format!("{name} {number} ({}): {kind}, {:?} is owed", vector.comment, vector.owed));
                }
            }
        }
        println!("{version}: {counts:?}");
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
        let expected = [
            ("accepted", 663),
            ("form refused, not asked", 1_694),
            ("key refused, not asked", 1_033),
            ("refused", 3_780),
        ];
        assert_eq!(counts, BTreeMap::from(expected));
        envoy.assert_no_wasm_failures();
    }

    /// The examples of the RFCs, under each algorithm that the host serves; ES512 among them.
    fn every_example_of_the_rfcs(version) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let envoy = start(version, &folder);
        let client = envoy.client("oracle");
        let mut accepted = Vec::new();
        for (name, jwk, jws, alg) in rfc_examples::EXAMPLES {
            let jwk = serde_json::from_str(jwk).expect("a JWK");
            let key = VerifyingKey::from_jwk(&jwk, Provenance::Configuration).expect("a key");
            let (message, signature) = jws.rsplit_once('.').expect("a signature");
            let signature = BASE64URL.decode(signature).expect("a signature in base64url");
            for (other, algorithm) in Algorithm::NAMES {
                let question = envoy::arguments(algorithm, &key, message.as_bytes(), &signature);
                if question.is_some_and(|question| ask(&client, &question)) {
                    assert_eq!(other, alg, "{name}");
                    accepted.push(name);
                }
            }
        }
        let expected = ["7515, A.2", "7515, A.3", "7515, A.4", "7520, 4.1", "7520, 4.3"];
        assert_eq!(accepted, expected.map(|it| format!("RFC {it}")));
    }
}

/// An Envoy that answers at `oracle`.
fn start(version: Version, folder: &TempDir) -> Envoy {
    let plugin = Plugin::new(json!({})).module(oracle(folder));
    let listener = Listener::new("oracle").direct_response(200, "not asked");
    let listener = listener.filter(reading_bodies(&plugin));
    Envoy::builder(version).listener(listener).start()
}

/// As Envoy has it by default, no body comes to a filter that stopped at the headers.
fn reading_bodies(plugin: &Plugin) -> Filter {
    match plugin.inline() {
        Filter::Json(mut filter) => {
            filter["typed_config"]["config"]["allow_on_headers_stop_iteration"] = json!(true);
            Filter::Json(filter)
        }
        other => other,
    }
}

/// The answer of the host to a question.
fn ask(client: &Client, question: &[u8]) -> bool {
    let answer = client.post("/", question).send().expect("an answer");
    assert_eq!(answer.status, 200, "the host has no {}", envoy::FUNCTION);
    envoy::is_good(&answer.body)
}

// Where the module keeps what.
const NAME: u32 = 32;
const BODY: u32 = 64;
const BODY_SIZE: u32 = 68;
const RESULT: u32 = 72;
const RESULT_SIZE: u32 = 76;
const HEAP: u32 = 4096;

/// A module that hands the body of a request to `verify_signature`, and answers with the result.
fn oracle(folder: &TempDir) -> PathBuf {
    let mut module = Module::with_config(ModuleConfig::new());
    let memory = module.memories.add_local(false, false, 16, None, None);
    module.exports.add("memory", memory);
    let heap = ConstExpr::Value(Value::I32(HEAP as i32));
    let heap = module.globals.add_local(ValType::I32, true, false, heap);
    let name = DataKind::Active {
        memory,
        offset: ConstExpr::Value(Value::I32(NAME as i32)),
    };
    module.data.add(name, envoy::FUNCTION.as_bytes().to_vec());
    let get_body = import(&mut module, "proxy_get_buffer_bytes", 5);
    let call = import(&mut module, "proxy_call_foreign_function", 6);
    let answer = import(&mut module, "proxy_send_local_response", 8);

    export(&mut module, "proxy_abi_version_0_2_1", 0, &[], &|_, _| {});
    export(&mut module, "proxy_on_context_create", 2, &[], &|_, _| {});
    // Memory is given back at the next request.
    export(
        &mut module,
        "malloc",
        1,
        &[ValType::I32],
        &|body, locals| {
            body.global_get(heap)
                .global_get(heap)
                .local_get(locals[0])
                .binop(BinaryOp::I32Add)
                .global_set(heap);
        },
    );
    // Wait for the body, …
    export(
        &mut module,
        "proxy_on_request_headers",
        3,
        &[ValType::I32],
        &|body, _| {
            body.i32_const(1);
        },
    );
    // … for all of it, and ask.
    export(
        &mut module,
        "proxy_on_request_body",
        3,
        &[ValType::I32],
        &|body, locals| {
            body.local_get(locals[2]).if_else(
                None,
                |all| {
                    all.i32_const(HEAP as i32).global_set(heap);
                    for address in [RESULT, RESULT_SIZE] {
                        all.i32_const(address as i32).i32_const(0);
                        store(all, memory);
                    }
                    numbers(all, &[0, 0]);
                    all.local_get(locals[1]);
                    numbers(all, &[BODY, BODY_SIZE]);
                    all.call(get_body).drop();
                    numbers(all, &[NAME, envoy::FUNCTION.len() as u32]);
                    load(all, memory, BODY);
                    load(all, memory, BODY_SIZE);
                    numbers(all, &[RESULT, RESULT_SIZE]);
                    // The status of the call tells the one of the answer: 200, or 201 and more.
                    all.call(call).i32_const(200).binop(BinaryOp::I32Add);
                    numbers(all, &[0, 0]);
                    load(all, memory, RESULT);
                    load(all, memory, RESULT_SIZE);
                    numbers(all, &[0, 0]);
                    all.i32_const(-1).call(answer).drop();
                },
                |_| {},
            );
            body.i32_const(1);
        },
    );
    let path = folder.path().join("oracle.wasm");
    fs::write(&path, module.emit_wasm()).expect("a file in a temporary folder");
    path
}

fn import(module: &mut Module, name: &str, parameters: usize) -> FunctionId {
    let kind = module
        .types
        .add(&vec![ValType::I32; parameters], &[ValType::I32]);
    module.add_import_func("env", name, kind).0
}

fn export(
    module: &mut Module,
    name: &str,
    parameters: usize,
    results: &[ValType],
    body: &dyn Fn(&mut InstrSeqBuilder<'_>, &[LocalId]),
) {
    let locals: Vec<_> = (0..parameters)
        .map(|_| module.locals.add(ValType::I32))
        .collect();
    let types = &mut module.types;
    let mut function = FunctionBuilder::new(types, &vec![ValType::I32; parameters], results);
    body(&mut function.func_body(), &locals);
    let function = function.finish(locals, &mut module.funcs);
    module.exports.add(name, function);
}

fn numbers(body: &mut InstrSeqBuilder<'_>, numbers: &[u32]) {
    for number in numbers {
        body.i32_const(*number as i32);
    }
}

fn load(body: &mut InstrSeqBuilder<'_>, memory: MemoryId, address: u32) {
    let kind = LoadKind::I32 { atomic: false };
    body.i32_const(address as i32).load(memory, kind, WORD);
}

fn store(body: &mut InstrSeqBuilder<'_>, memory: MemoryId) {
    body.store(memory, StoreKind::I32 { atomic: false }, WORD);
}

const WORD: MemArg = MemArg {
    align: 4,
    offset: 0,
};
