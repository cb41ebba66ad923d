//! Replies and requests, as this side of the conversation sees them.
