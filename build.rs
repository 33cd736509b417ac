//! Generates the gRPC code of `proto/` with protox, so that the machine needs no protoc.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/tfplugin6.proto", "proto/plugin.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    // The comments in the protocol files are no Markdown: rustdoc would take indented text in them
    // for tests. Each generator has its own switch: one for messages, one for services.
    let mut messages = tonic_prost_build::Config::new();
    messages.disable_comments(["."]);
    tonic_prost_build::configure()
        .build_client(true)
        .build_transport(false)
        .disable_comments(["."])
        .compile_fds_with_config(descriptors, messages)?;
    Ok(())
}
