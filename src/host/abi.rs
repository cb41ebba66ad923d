//! Host functions of proxy-wasm ABI 0.2.1, as far as we need them, without a panic in any of them.
//!
//! One panic ends the VM of a worker, so a status is a value here and text is bytes.

#![expect(unsafe_code, reason = "the imports that the proxy-wasm ABI names")]

use crate::request::Headers;
use std::borrow::Cow;
use std::time::Duration;

/// The host did not do it; the number is its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub u32);

/// Buffers of the host that we read.
#[derive(Clone, Copy)]
pub enum Buffer {
    HttpCallResponseBody = 4,
    PluginConfiguration = 7,
}

/// How much a log line matters, as the ABI counts it.
#[derive(Clone, Copy)]
pub enum LogLevel {
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

/// Header maps of the host that we read.
#[derive(Clone, Copy)]
pub enum Map {
    Request = 0,
    HttpCallResponse = 6,
}

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const REQUEST_STREAM: u32 = 0;
const NO_GRPC_STATUS: i32 = -1;
const COUNTER: u32 = 0;
const GAUGE: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, number: *mut u32) -> u32;
    fn proxy_increment_metric(number: u32, by: i64) -> u32;
    fn proxy_record_metric(number: u32, value: u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        results: *mut *mut u8,
        results_size: *mut usize,
    ) -> u32;
}

/// The time since the Unix epoch; zero if the host has no clock, which no `nbf` passes.
pub fn now() -> Duration {
    let mut nanoseconds = 0;
    // SAFETY: the host writes one u64.
    unsafe { proxy_get_current_time_nanoseconds(&mut nanoseconds) };
    Duration::from_nanos(nanoseconds)
}

/// How often the root context of the current context is woken; at least a millisecond.
pub fn set_tick_period(period: Duration) {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX).max(1);
    // SAFETY: passes a number.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
}

/// Makes a stream, or the root, the one that the next calls are about; fails if it is gone.
pub fn set_effective_context(context: u32) -> Result<(), Failed> {
    // SAFETY: passes a number.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Lets a paused request go on.
pub fn continue_request() -> Result<(), Failed> {
    // SAFETY: passes a number.
    done(unsafe { proxy_continue_stream(REQUEST_STREAM) })
}

/// At most `max_size` bytes of a buffer; empty if it is not there.
pub fn buffer(buffer: Buffer, max_size: usize) -> Vec<u8> {
    // SAFETY: the host writes where `owned` tells it to.
    let read = owned(|data, size| unsafe {
        proxy_get_buffer_bytes(buffer as u32, 0, max_size, data, size)
    });
    read.unwrap_or_default()
}

/// A whole header map; `None` if it is not what the ABI says.
pub fn headers(map: Map) -> Option<Headers> {
    // SAFETY: the host writes where `owned` tells it to.
    let block = owned(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) });
    Headers::from_abi(block.ok()?).ok()
}

/// A property by its path; empty if it is not there, has no value or cannot be told.
pub fn property(path: &[&str]) -> Vec<u8> {
    let path = path.join("\0");
    // SAFETY: the host reads what the slice spans and writes where `owned` tells it to.
    let value =
        owned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) });
    value.unwrap_or_default()
}

/// Sets a property of the stream, which access logs can tell: Envoy's filter state `wasm.NAME`.
pub fn set_property(name: &str, value: &[u8]) {
    // SAFETY: the host reads what the slices span.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// Removes every line of a request header.
pub fn remove_header(name: &[u8]) -> Result<(), Failed> {
    let map = Map::Request as u32;
    // SAFETY: the host reads what the slice spans.
    done(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Puts one line in place of every line of a request header.
pub fn set_header(name: &[u8], value: &[u8]) -> Result<(), Failed> {
    let map = Map::Request as u32;
    // SAFETY: the host reads what the slices span.
    done(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Answers the request in place of the upstream.
pub fn send_local_response(
    status: u16,
    headers: &[(Cow<'static, str>, Vec<u8>)],
    body: &[u8],
    details: &str,
) -> Result<(), Failed> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_slice()));
    let headers = serialize_pairs(&headers.collect::<Vec<_>>());
    // SAFETY: the host reads what the slices span.
    done(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

/// Whether the host takes log lines at debug level now; an operator can change that any time.
pub fn logs_debug() -> bool {
    let mut level = u32::MAX;
    // SAFETY: the host writes one u32.
    let status = unsafe { proxy_get_log_level(&mut level) };
    status == OK && level <= LogLevel::Debug as u32
}

/// Defines a counter and gives its number.
pub fn define_counter(name: &str) -> Option<u32> {
    define_metric(COUNTER, name)
}

/// Defines a gauge and gives its number.
pub fn define_gauge(name: &str) -> Option<u32> {
    define_metric(GAUGE, name)
}

fn define_metric(kind: u32, name: &str) -> Option<u32> {
    let mut number = 0;
    // SAFETY: the host reads what the slice spans and writes one u32.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut number) };
    (status == OK).then_some(number)
}

/// Sets a gauge.
pub fn set_gauge(number: u32, value: u64) {
    // SAFETY: passes numbers.
    unsafe { proxy_record_metric(number, value) };
}

/// Adds to a counter, or to a gauge, from which it may also take away.
pub fn increment_metric(number: u32, by: i64) {
    // SAFETY: passes numbers.
    unsafe { proxy_increment_metric(number, by) };
}

/// Sends a request to a cluster, in the name of the effective context; the token of the call, by
/// which its reply is known. Names and values are bytes, as they came.
pub fn http_call(
    cluster: &str,
    headers: &[(&[u8], &[u8])],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, Failed> {
    let headers = serialize_pairs(headers);
    let trailers = serialize_pairs(&[]);
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let mut token = 0;
    // SAFETY: the host reads what the slices span and writes one u32.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout,
            &mut token,
        )
    };
    done(status).map(|()| token)
}

/// Writes a log line.
pub fn log(level: LogLevel, message: &str) {
    // SAFETY: the host reads what the slice spans.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Calls a function that this host has beyond the ABI.
pub fn call_foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Failed> {
    // SAFETY: the host reads what the slices span and writes where `owned` tells it to.
    owned(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

fn done(status: u32) -> Result<(), Failed> {
    if status == OK {
        Ok(())
    } else {
        Err(Failed(status))
    }
}

/// Takes over memory that the host allocated with our `proxy_on_memory_allocate`.
fn owned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Failed> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    match call(&mut data, &mut size) {
        OK | NOT_FOUND if data.is_null() => Ok(Vec::new()),
        // SAFETY: our allocator made a boxed slice of exactly this size, and it is ours now.
        OK => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
        status => Err(Failed(status)),
    }
}

/// Pairs as the ABI wants them: a count, the lengths, the texts with a NUL behind each.
fn serialize_pairs(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap_or_default().to_le_bytes();
    let mut block = number(pairs.len()).to_vec();
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        block.extend(number(text.len()));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        block.extend_from_slice(text);
        block.push(0);
    }
    block
}
