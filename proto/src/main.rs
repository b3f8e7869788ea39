//! Writes the generated code where `node` keeps it: `cargo xtask proto`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proto::commit()
}
