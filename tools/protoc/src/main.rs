//! A stand-in for `protoc`. It writes a descriptor set with `protox`, so that a fresh machine needs
//! no protoc. It knows only the flags that `prost-build` passes.
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut out, mut includes, mut files) = (None, Vec::new(), Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--version" => {
                println!("libprotoc 25.1");
                return Ok(());
            }
            "-o" => out = args.next(),
            "-I" => includes.extend(args.next()),
            a if a.starts_with("-I") => includes.push(a[2..].to_owned()),
            a if a.starts_with('-') => {}
            _ => files.push(arg),
        }
    }
    let out = out.ok_or("-o FILE is missing")?;
    std::fs::write(out, protox::compile(files, includes)?.encode_to_vec())?;
    Ok(())
}
