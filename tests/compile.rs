#[test] fn x() { let _ = regex::Regex::new("a"); }
