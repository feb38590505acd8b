//! Command line in, exit code out; the only exit in the program.

fn main() {}
