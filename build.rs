//! Generates the gRPC code of `proto/` with protox: no protoc on the machine.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/tfplugin6.proto", "proto/plugin.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_transport(false)
        // They are no Markdown: rustdoc takes what is indented in them for tests.
        .disable_comments(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
