//! The callbacks of proxy-wasm ABI 0.2.1 that the module exports, and the roots behind them.
//!
//! The host calls every callback that a module exports, for every request, whether or not it does
//! anything there; so only those are exported that do. Nothing is kept of a stream between its
//! creation and its headers, which follow at once, and a root that the host has deleted is noticed
//! when the next one comes or ticks. A callback that does not find what it is about refuses.

#![expect(unsafe_code, reason = "the exports that the proxy-wasm ABI names")]

use super::http::{self, Action};
use super::root::{Plugin, Root};
use super::{abi, log};
use std::cell::RefCell;
use std::rc::Rc;

/// What callbacks find by the ids of the host.
#[derive(Default)]
struct Contexts {
    roots: Vec<Rc<Root>>,
    /// The stream that was created last, and the configuration that decides for it.
    stream: Option<(u32, Option<Rc<Plugin>>)>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Starts the module (WASI's reactor).
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() };
    log::start();
}

/// Tells the host which ABI this is.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory that the host fills and hands over; [`abi`] takes it as a vector of this size.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    if root == 0 {
        forget_roots(id);
        with(|contexts| contexts.roots.push(Rc::new(Root::new(id))));
    } else {
        let plugin = find(root).and_then(|root| root.plugin());
        plugin.iter().for_each(|plugin| plugin.decides());
        // Whatever was there is dropped when it is no longer borrowed: that may call the host.
        let _before = with(|contexts| contexts.stream.replace((id, plugin)));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    let roots = with(|contexts| contexts.roots.clone()).unwrap_or_default();
    let before: Vec<_> = roots
        .iter()
        .rev()
        .filter_map(|root| root.plugin())
        .collect();
    find(root).is_some_and(|root| root.on_configure(size, &before))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    forget_roots(root);
    if let Some(root) = find(root) {
        root.on_tick();
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _: usize, _: bool) -> Action {
    let created = with(|contexts| contexts.stream.take()).flatten();
    let plugin = created.filter(|(stream, _)| *stream == id);
    http::on_request_headers(plugin.and_then(|(_, plugin)| plugin).as_ref(), id)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    headers: usize,
    body_size: usize,
    _: usize,
) {
    if let Some(root) = find(root) {
        root.on_http_call_response(token, headers, body_size);
    }
}

fn find(root: u32) -> Option<Rc<Root>> {
    let same = |known: &&Rc<Root>| known.id() == root;
    with(|contexts| contexts.roots.iter().find(same).cloned()).flatten()
}

/// Drops the roots that the host has deleted; `current` is the one that it is calling.
fn forget_roots(current: u32) {
    let roots = with(|contexts| contexts.roots.clone()).unwrap_or_default();
    let is_gone =
        |root: &Rc<Root>| root.id() != current && abi::set_effective_context(root.id()).is_err();
    let gone: Vec<_> = roots.into_iter().filter(is_gone).collect();
    // The host knows its own context, so this does not fail.
    let _ = abi::set_effective_context(current);
    with(|contexts| {
        let stays = |root: &Rc<Root>| gone.iter().all(|gone| gone.id() != root.id());
        contexts.roots.retain(stays);
    });
}

/// Never held across a call to the host, so that it is always free.
fn with<T>(use_them: impl FnOnce(&mut Contexts) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| Some(use_them(&mut *contexts.try_borrow_mut().ok()?)))
}
