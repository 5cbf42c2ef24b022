//! The `stackproof` command: parses arguments, calls the library.

mod cli;

/// A request of the local cloud is many small allocations; see `stackproof bench`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The local cloud calls this program as the helper of its containers.
    stackproof_planes::containers::helper::run_if_asked();
    cli::run()
}
