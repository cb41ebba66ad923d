//! Policies and requests that nobody thought of.
