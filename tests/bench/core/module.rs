//! The module itself in an interpreter, with its instructions counted: no clock, no noise, no proxy.
//!
//! The host here knows the headers of one request and the text of one configuration, and neither
//! other servers nor cryptography. Used by `instructions.rs`.

use std::{fs, path::Path};

use portcullis::request::Headers;
use wasmi::{
    Caller, Engine, Func, Instance, Linker, Module, Store, TypedFunc, Val, WasmParams, WasmResults,
};

use crate::{
    counted::{COUNT, counted},
    gateway::{NOW, block},
};

/// One VM with the module in it.
pub struct Worker {
    store: Store<Host>,
    instance: Instance,
    /// The ids of the last context that was created, and of the last root.
    context: u32,
    root: u32,
}

/// What the module can ask for, and what it has said.
#[derive(Default)]
struct Host {
    configuration: Vec<u8>,
    headers: Vec<u8>,
    is_answered: bool,
}

const PAGE: u64 = 64 * 1024;
const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const UNIMPLEMENTED: u32 = 12;
const INFO: u32 = 2;

// === impl Worker ===

impl Worker {
    /// Starts the module of this file.
    pub fn new(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a module that was built");
        let engine = Engine::default();
        let module = Module::new(&engine, counted(&bytes)).expect("a module");
        let mut store = Store::new(&engine, Host::default());
        let instance = linker(&engine, &module).instantiate_and_start(&mut store, &module);
        let mut worker = Worker {
            store,
            instance: instance.expect("every import is there"),
            context: 0,
            root: 0,
        };
        worker.call::<_, ()>("_initialize", ());
        worker
    }

    /// Puts a configuration in force, beside those that are there already.
    pub fn configure(&mut self, configuration: &str) {
        self.root = self.create(0);
        let size = u32::try_from(configuration.len()).expect("short");
        self.store.data_mut().configuration = configuration.into();
        let accepted: u32 = self.call("proxy_on_configure", (self.root, size));
        assert_eq!(accepted, 1, "the configuration is accepted");
    }

    /// Has a request judged: whether it goes on, and how many instructions that took.
    pub fn decide(&mut self, headers: &Headers) -> (bool, i64) {
        *self.store.data_mut() = Host {
            headers: block(headers),
            ..Host::default()
        };
        let before = self.instructions();
        let stream = self.create(self.root);
        let _action: u32 = self.call("proxy_on_request_headers", (stream, 0_u32, 1_u32));
        (!self.store.data().is_answered, self.instructions() - before)
    }

    /// The memory of the VM, in bytes; it never shrinks.
    pub fn memory(&self) -> u64 {
        let memory = self.instance.get_memory(&self.store, "memory");
        memory.expect("an export").size(&self.store) * PAGE
    }

    fn create(&mut self, parent: u32) -> u32 {
        self.context += 1;
        self.call::<_, ()>("proxy_on_context_create", (self.context, parent));
        self.context
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> R {
        let function: TypedFunc<P, R> = self
            .instance
            .get_typed_func(&self.store, name)
            .expect("an export of this type");
        let result = function.call(&mut self.store, parameters);
        result.unwrap_or_else(|trap| panic!("{name}: {trap}"))
    }

    fn instructions(&self) -> i64 {
        let count = self.instance.get_global(&self.store, COUNT);
        let count = count.expect("an export").get(&self.store).i64();
        count.expect("64 bits")
    }
}

// === impl Host ===

/// Every import of the module.
fn linker(engine: &Engine, module: &Module) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let name = import.name().to_owned();
        let function = import.ty().func().expect("it imports functions alone");
        let call = move |caller: Caller<'_, Host>, parameters: &[Val], results: &mut [Val]| {
            let parameters: Vec<u32> = parameters.iter().map(number).collect();
            let status = answer(caller, &name, &parameters);
            if let [result] = results {
                *result = Val::I32(status.cast_signed());
            }
            Ok(())
        };
        let defined = linker.func_new(import.module(), import.name(), function.clone(), call);
        defined.expect("each name once");
    }
    linker
}

/// Does what a function of the host does; its status. What is not named here does nothing.
fn answer(mut caller: Caller<'_, Host>, name: &str, parameters: &[u32]) -> u32 {
    match (name, parameters) {
        ("proxy_get_current_time_nanoseconds", [time]) => {
            let now = u64::try_from(NOW.as_nanos()).expect("not so late");
            write(&mut caller, *time, &now.to_le_bytes())
        }
        ("proxy_get_header_map_pairs", [_, data, size]) => {
            let headers = caller.data().headers.clone();
            hand_over(&mut caller, &headers, *data, *size)
        }
        ("proxy_get_buffer_bytes", [_, _, _, data, size]) => {
            let configuration = std::mem::take(&mut caller.data_mut().configuration);
            hand_over(&mut caller, &configuration, *data, *size)
        }
        ("proxy_get_log_level", [level]) => write(&mut caller, *level, &INFO.to_le_bytes()),
        ("environ_sizes_get", [count, size]) => {
            write(&mut caller, *count, &[0; 4]);
            write(&mut caller, *size, &[0; 4])
        }
        ("proxy_send_local_response", _) => {
            caller.data_mut().is_answered = true;
            OK
        }
        ("proxy_get_property", _) => NOT_FOUND,
        ("proxy_call_foreign_function", _) => UNIMPLEMENTED,
        _ => OK,
    }
}

/// Copies bytes into memory that the module allocates, and writes where they are and how many.
fn hand_over(caller: &mut Caller<'_, Host>, bytes: &[u8], data: u32, size: u32) -> u32 {
    let length = u32::try_from(bytes.len()).expect("short");
    let allocate = caller.get_export("proxy_on_memory_allocate");
    let allocate: Func = allocate.and_then(|it| it.into_func()).expect("an export");
    let allocate = allocate.typed::<u32, u32>(&*caller).expect("its type");
    let at = allocate.call(&mut *caller, length).expect("no trap");
    write(caller, at, bytes);
    write(caller, data, &at.to_le_bytes());
    write(caller, size, &length.to_le_bytes())
}

fn write(caller: &mut Caller<'_, Host>, at: u32, bytes: &[u8]) -> u32 {
    let memory = caller.get_export("memory").and_then(|it| it.into_memory());
    let written = memory.expect("an export").write(caller, at as usize, bytes);
    written.expect("within its memory");
    OK
}

/// A number of 32 bits; metrics alone count with more, and nobody looks at them here.
fn number(value: &Val) -> u32 {
    value.i32().unwrap_or_default().cast_unsigned()
}
