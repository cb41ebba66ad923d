//! A router on a port of 127.0.0.1, served in background threads, that can go away and come back.
//!
//! It knows nothing of what is served. Used by `mod.rs` and by the authorizer next door.

use std::{
    net::{Ipv4Addr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use tokio::runtime::Runtime;

/// A router that is served; dropping it stops that.
pub struct Serving {
    port: u16,
    router: Router,
    /// Gone while stopped.
    runtime: Option<Runtime>,
}

/// How long to try for a port that someone else holds.
const BIND_PATIENCE: Duration = Duration::from_secs(5);

// === impl Serving ===

impl Serving {
    /// Answers when this returns.
    pub fn start(listener: TcpListener, router: Router) -> Self {
        let mut serving = Serving {
            port: port_of(&listener),
            router,
            runtime: None,
        };
        serving.serve(listener);
        serving
    }

    /// Closes the port and every connection.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    /// Answers again on the same port after [`stop`](Self::stop).
    pub fn start_again(&mut self) {
        if self.runtime.is_none() {
            self.serve(bind(self.port));
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    fn serve(&mut self, listener: TcpListener) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let router = self.router.clone();
        let guard = runtime.enter();
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket for tokio");
        runtime.spawn(async move { axum::serve(listener, router).await });
        drop(guard);
        self.runtime = Some(runtime);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens on a port of 127.0.0.1; 0 takes a free one.
pub fn bind(port: u16) -> TcpListener {
    let deadline = Instant::now() + BIND_PATIENCE;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener,
            Err(error) if Instant::now() > deadline => {
                panic!("cannot listen on port {port}: {error}")
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

pub fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("a bound socket").port()
}
