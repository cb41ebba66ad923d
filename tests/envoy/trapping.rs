//! Portcullis made to fail: the real module with a trap in one of its callbacks.
//!
//! The file in `dist` is read and never written; what comes of it is in a folder of one test. That
//! it has trapped once is known to all VMs of an Envoy, by the host's shared data. Used by `traps.rs`.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use walrus::{
    FunctionBuilder, FunctionId, GlobalId, InstrSeqBuilder, MemoryId, Module, ValType,
    ir::{BinaryOp, MemArg, StoreKind, UnaryOp, Value as Constant},
};

use crate::harness::Tool;

/// How the module fails.
#[derive(Clone, Copy, Debug)]
pub struct Trapping {
    /// The callback that traps, by the name of its export.
    pub callback: &'static str,
    pub when: When,
    pub then: Then,
}

/// Which of the calls traps.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// The first one in the life of Envoy, whichever thread it is on.
    Once,
    /// In each VM the call of this number, also in one that comes after a trap.
    Nth(i32),
}

/// What becomes of configurations once there was a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They are judged as ever.
    AsEver,
    /// Each is called faulty, also that which was in force.
    Faulty,
    /// Each traps, too.
    Traps,
}

/// Under which the trap is known to all VMs: four letters, as one number.
const KEY: i32 = i32::from_le_bytes(*b"trap");

/// What the added code uses of the module.
struct Parts {
    memory: MemoryId,
    allocate: FunctionId,
    get: FunctionId,
    set: FunctionId,
    /// Some bytes of the module's memory, once they are there.
    scratch: GlobalId,
}

// === impl Trapping ===

impl Trapping {
    /// Writes the module to the folder.
    pub fn module(self, folder: &TempDir) -> PathBuf {
        let mut module = Module::from_file(Tool::Plugin.path()).expect("a module");
        let parts = Parts::add(&mut module);
        let happened = parts.happened(&mut module);
        let happens = parts.happens(&mut module);
        let calls = number(&mut module);
        wrap(&mut module, self.callback, |body| {
            match self.when {
                When::Once => body.call(happened).unop(UnaryOp::I32Eqz),
                When::Nth(nth) => {
                    let counted = body.global_get(calls).i32_const(1).binop(BinaryOp::I32Add);
                    counted.global_set(calls).global_get(calls);
                    counted.i32_const(nth).binop(BinaryOp::I32Eq)
                }
            };
            body.if_else(None, |trap| _ = trap.call(happens).unreachable(), |_| ());
        });
        if self.then != Then::AsEver {
            wrap(&mut module, "proxy_on_configure", |body| {
                let fails = |body: &mut InstrSeqBuilder<'_>| match self.then {
                    Then::Traps => _ = body.unreachable(),
                    _ => _ = body.i32_const(0).return_(),
                };
                body.call(happened).if_else(None, fails, |_| ());
            });
        }
        let path = folder.path().join("trapping.wasm");
        fs::write(&path, module.emit_wasm()).expect("a file in a temporary folder");
        path
    }
}

// === impl Parts ===

impl Parts {
    fn add(module: &mut Module) -> Self {
        let exported = |name: &str| module.exports.get_func(name).expect("a callback");
        let allocate = exported("proxy_on_memory_allocate");
        let memory = module.memories.iter().next().expect("a memory").id();
        let import = |module: &mut Module, name: &str| {
            let kind = module.types.add(&[ValType::I32; 5], &[ValType::I32]);
            module.add_import_func("env", name, kind).0
        };
        Parts {
            memory,
            allocate,
            get: import(module, "proxy_get_shared_data"),
            set: import(module, "proxy_set_shared_data"),
            scratch: number(module),
        }
    }

    /// A function that tells whether there was a trap in any VM.
    fn happened(&self, module: &mut Module) -> FunctionId {
        let mut function = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
        let mut body = function.func_body();
        self.key(&mut body);
        // Where the host writes the place of the value, its size and its number.
        for offset in [4, 8, 12] {
            self.at(&mut body, offset);
        }
        body.call(self.get).unop(UnaryOp::I32Eqz);
        function.finish(Vec::new(), &mut module.funcs)
    }

    /// A function that lets all VMs know.
    fn happens(&self, module: &mut Module) -> FunctionId {
        let mut function = FunctionBuilder::new(&mut module.types, &[], &[]);
        let mut body = function.func_body();
        self.key(&mut body);
        // Any value will do, and whatever was there is replaced.
        self.at(&mut body, 0);
        body.i32_const(4).i32_const(0).call(self.set).drop();
        function.finish(Vec::new(), &mut module.funcs)
    }

    /// Puts the key in memory, and its place and size on the stack.
    fn key(&self, body: &mut InstrSeqBuilder<'_>) {
        body.global_get(self.scratch).unop(UnaryOp::I32Eqz).if_else(
            None,
            |first| {
                _ = first
                    .i32_const(16)
                    .call(self.allocate)
                    .global_set(self.scratch)
            },
            |_| (),
        );
        let place = MemArg {
            align: 1,
            offset: 0,
        };
        let kind = StoreKind::I32 { atomic: false };
        body.global_get(self.scratch)
            .i32_const(KEY)
            .store(self.memory, kind, place);
        self.at(body, 0);
        body.i32_const(4);
    }

    fn at(&self, body: &mut InstrSeqBuilder<'_>, offset: i32) {
        body.global_get(self.scratch)
            .i32_const(offset)
            .binop(BinaryOp::I32Add);
    }
}

/// A variable of a VM, 0 at first.
fn number(module: &mut Module) -> GlobalId {
    let zero = walrus::ConstExpr::Value(Constant::I32(0));
    module.globals.add_local(ValType::I32, true, false, zero)
}

/// Has something done before a callback.
fn wrap(module: &mut Module, name: &str, before: impl FnOnce(&mut InstrSeqBuilder<'_>)) {
    let original = module.exports.get_func(name).expect("a callback");
    module.exports.remove(name).expect("it is exported");
    let kind = module.funcs.get(original).ty();
    let (parameters, results) = module.types.params_results(kind);
    let (parameters, results) = (parameters.to_vec(), results.to_vec());
    let locals: Vec<_> = parameters
        .iter()
        .map(|kind| module.locals.add(*kind))
        .collect();
    let mut function = FunctionBuilder::new(&mut module.types, &parameters, &results);
    let mut body = function.func_body();
    before(&mut body);
    for local in &locals {
        body.local_get(*local);
    }
    body.call(original);
    let function = function.finish(locals, &mut module.funcs);
    module.exports.add(name, function);
}
