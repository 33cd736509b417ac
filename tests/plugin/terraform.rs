//! Tests under the real terraform (the first of `OB_TEST_TERRAFORM`, terraform, tofu on the PATH),
//! with this program as its provider.
use crate::Test;
use std::path::Path;
use std::process::{Command, Output};

pub const TESTS: &[Test] = &[
    ("terraform plans, applies, plans nothing, changes, replaces, imports and destroys", life),
    ("terraform shows the attribute of a bad value", bad_value),
    ("terraform does not taint a create that fails", no_taint),
    ("the product's own provider starts under terraform", product),
];

struct Workspace {
    dir: tempfile::TempDir,
    cli: String,
}

impl Workspace {
    /// A folder with a wrapper that is this program, and a CLI configuration that points at it.
    fn new(provider: &Path) -> Option<Self> {
        let candidates = [
            std::env::var("OB_TEST_TERRAFORM").unwrap_or_default(),
            "terraform".into(),
            "tofu".into(),
        ];
        let cli = candidates
            .into_iter()
            .find(|c| !c.is_empty() && Command::new(c).arg("version").output().is_ok());
        let Some(cli) = cli else {
            assert!(std::env::var_os("CI").is_none(), "CI has no terraform");
            println!("  left out: no terraform or tofu on the PATH");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(provider, dir.path().join("terraform-provider-ob")).unwrap();
        let rc = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"oceanbase/ob\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("cli.tfrc"), rc).unwrap();
        Some(Self { dir, cli })
    }

    fn write(&self, body: &str) {
        let head = "terraform {\n  required_providers {\n    ob = { source = \"oceanbase/ob\" }\n  }\n}\nprovider \"ob\" {\n  owner = \"test\"\n}\n";
        std::fs::write(self.dir.path().join("main.tf"), format!("{head}{body}\n")).unwrap();
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = Command::new(&self.cli)
            .args(args)
            .current_dir(self.dir.path())
            .env("TF_CLI_CONFIG_FILE", self.dir.path().join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG")
            .output()
            .unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        // Drop the frames and line breaks of the output: they are not what is tested.
        let text = text.replace(['│', '╷', '╵'], " ");
        (status.code(), text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn good(&self, args: &[&str]) -> String {
        let (code, text) = self.run(args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
        text
    }

    fn plan(&self, code: i32) -> String {
        let (got, text) = self.run(&["plan", "-no-color", "-detailed-exitcode"]);
        assert_eq!(got, Some(code), "{text}");
        text
    }

    fn state(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("terraform.tfstate")).unwrap_or_default()
    }
}

const APPLY: &[&str] = &["apply", "-no-color", "-auto-approve"];
const DESTROY: &[&str] = &["destroy", "-no-color", "-auto-approve"];

fn here() -> Option<Workspace> {
    Workspace::new(&std::env::current_exe().unwrap())
}

fn life() {
    let Some(w) = here() else { return };
    let body = |kind: &str, version: u8| {
        format!(
            "resource \"ob_thing\" \"a\" {{\n  name = \"a\"\n  kind = \"{kind}\"\n  tags = [\"x\", \"y\"]\n  secret_wo = \"hunter2\"\n  secret_wo_version = {version}\n  login = {{ user = \"u\", password_wo = \"hunter2\" }}\n  zones = {{ z1 = {{ servers = {{ s1 = {{ port = 2881 }} }} }} }}\n}}\n\
             resource \"ob_thing\" \"b\" {{\n  name = \"b\"\n  kind = \"a\"\n  zones = {{ z = {{ region = ob_thing.a.zones[\"z1\"].id, servers = {{}} }} }}\n}}\n\
             data \"ob_look\" \"l\" {{\n  name = ob_thing.a.name\n}}\noutput \"size\" {{\n  value = data.ob_look.l.size\n}}"
        )
    };
    w.write(&body("a", 1));
    w.good(&["validate", "-no-color"]);
    assert!(w.plan(2).contains("2 to add"));
    assert!(w.good(APPLY).contains("2 added"));
    w.plan(0);
    w.good(&["plan", "-no-color", "-refresh-only", "-detailed-exitcode"]);
    assert!(
        w.state().contains("id-z1") && !w.state().contains("hunter2"),
        "the secret is in the state"
    );
    w.write(&body("a", 2));
    assert!(w.plan(2).contains("1 to change"));
    assert!(w.good(APPLY).contains("1 changed"));
    w.write(&body("b", 2));
    let text = w.plan(2);
    assert!(text.contains("forces replacement") && text.contains("1 to add"), "{text}");
    w.good(APPLY);
    w.plan(0);
    w.good(&["state", "rm", "ob_thing.b"]);
    w.write(&format!("{}\nimport {{\n  to = ob_thing.b\n  id = \"b\"\n}}", body("b", 2)));
    assert!(w.good(APPLY).contains("1 imported"));
    assert!(w.good(DESTROY).contains("2 destroyed"));
    assert!(w.good(&["providers", "schema", "-json"]).contains("\"write_only\":true"));
}

fn bad_value() {
    let Some(w) = here() else { return };
    w.write("resource \"ob_thing\" \"a\" {\n  name = \"a\"\n  size = 1.5\n  zones = { z1 = { servers = { s1 = { port = 99999 } } } }\n}");
    let (code, text) = w.run(&["validate", "-no-color"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("a whole number is needed, 1.5 has a fraction")
            && text.contains("size = 1.5"),
        "{text}"
    );
    w.write("resource \"ob_thing\" \"a\" {\n  name = \"a\"\n  kind = \"z\"\n  zones = { z1 = { servers = { s1 = { port = 99999 } } } }\n}");
    let (_, text) = w.run(&["validate", "-no-color"]);
    assert!(
        text.contains("99999 is out of range") && text.contains("use one of a, b"),
        "all at once: {text}"
    );
}

fn no_taint() {
    let Some(w) = here() else { return };
    for name in ["fail", "panic-apply", "other-apply"] {
        w.write(&format!("resource \"ob_thing\" \"a\" {{\n  name = \"{name}\"\n}}"));
        let (code, text) = w.run(APPLY);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            !w.state().contains("tainted") && !w.state().contains("ob_thing"),
            "{name}: {}",
            w.state()
        );
        let text = w.plan(2);
        assert!(text.contains("1 to add") && !text.contains("must be replaced"), "{name}: {text}");
    }
}

fn product() {
    let Some(w) = Workspace::new(Path::new(env!("CARGO_BIN_EXE_terraform-provider-ob"))) else {
        return;
    };
    w.write("");
    w.good(&["validate", "-no-color"]);
    let text = w.good(&["providers", "schema", "-json"]);
    assert!(text.contains("known_hosts_file"), "{text}");
}
