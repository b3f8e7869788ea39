//! The parent's program.

fn main() -> std::process::ExitCode {
    hub_node::main()
}
