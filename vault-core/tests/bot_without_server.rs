//! The example is a test: it asserts what it shows, and here it must come to its end.

#[path = "../examples/bot_without_server.rs"]
mod example;

#[test]
fn a_program_keeps_reads_and_forgets_a_person_without_a_server() {
    example::main().expect("the example runs");
}
