//! The chapter's program.

fn main() -> std::process::ExitCode {
    chapter_node::main()
}
