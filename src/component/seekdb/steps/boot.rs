//! Starting with the host. Members of a group do not start with it: a former primary that boots
//! would take writes beside the new one.
use super::{facts_of, id};
use crate::base::{Directory, Problem};
use crate::engine::{Check, Cx, Effect, Host, Node, Program, Step, StepId};
use crate::transport::key_values;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// The text of each unit of ours, and of the template that an administrator installs; in both, the
/// directory is the unit's instance name.
pub(super) const UNIT: &str = include_str!("ob@.service");
/// Stands for the run user in [`UNIT`].
const RUN_USER: &str = "RUN_USER";

/// Shell functions about what starts an instance with its host.
pub(super) const BOOT: &str = include_str!("../boot.sh");

/// The template `ob@.service` for a run user. Where root has installed it, starting with the host
/// needs no right to write units.
#[must_use]
pub fn template(run_as: &str) -> String {
    UNIT.replace(RUN_USER, run_as)
}

/// The unit of the server in a directory: `ob@` and the directory as `systemd-escape --path` writes
/// it (and `:` escaped too). `None` when systemd takes no such path for a program or no such name
/// for a unit.
pub(in super::super) fn unit(directory: &Directory) -> Option<String> {
    let path = directory.trim_start_matches('/');
    if path.contains(['\'', '"', '\\']) {
        return None;
    }
    let mut name = String::from("ob@");
    for (i, byte) in path.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if i == 0 => name += r"\x2e",
            b'_' | b'.' => name.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => name.push(byte.into()),
            _ => name += &format!(r"\x{byte:02x}"),
        }
    }
    name += ".service";
    (name.len() <= 255).then_some(name)
}

/// A program about what starts an instance with its host.
macro_rules! boot {
    ($node:expr, $file:literal) => {
        $crate::component::seekdb::steps::boot::arguments(
            $crate::program!(
                $file,
                $crate::transport::sudo::ONLY_ROOT,
                $crate::component::seekdb::LIB,
                $crate::component::seekdb::steps::boot::BOOT
            ),
            $node,
        )
    };
}
pub(super) use boot;

/// The arguments that each of these programs takes first.
pub(super) fn arguments(program: Program, node: &Node) -> Program {
    let unit = unit(&node.directory).unwrap_or_default();
    let former = format!("ob-{}.service", node.name);
    // The line in the crontab names the directory, because two objects may have one name.
    let start = crate::base::shell::quote(&node.own("start"));
    let line = format!("@reboot {start} >/dev/null 2>&1 # ob:{}:{}", node.name, node.directory);
    program.arg(&*node.directory).args([unit, former, line])
}

/// What starts an instance with its host, as the host says.
struct Found(BTreeMap<String, String>);

impl Found {
    async fn look(cx: &Cx, node: &Node) -> Result<Self, Problem> {
        Ok(Self(key_values(&cx.read(&node.host, &boot!(node, "look_boot.sh")).await?.stdout)))
    }
    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
    /// The instance starts with its host.
    fn starts(&self) -> bool {
        self.has("line")
            || self.has("former")
            || self.has("user")
            || self.has("unit") && !self.has("broken")
    }
    /// Something of ours is there, even if it does not work.
    fn any(&self) -> bool {
        self.starts() || self.has("unit") || self.has("own")
    }
}

/// How an instance differs from how it shall start with its host: a member of a group must not,
/// any other shall.
///
/// # Errors
/// The host cannot be reached.
pub async fn differs(cx: &Cx, node: &Node, member: bool) -> Result<Option<Problem>, Problem> {
    let starts = Found::look(cx, node).await?.starts();
    let problem = |why: &str, fix: String| {
        Some(Problem::user(format!("seekdb {}", node.show())).why(why).fix(fix))
    };
    let unit = unit(&node.directory).unwrap_or_default();
    Ok(match (member, starts) {
        (true, true) => problem(
            "it starts with its host, as no member of a group may: a former primary would take \
             writes beside the new one",
            format!(
                "remove the line that ends with `# ob:{}:{}` from its user's crontab; `systemctl \
                 disable '{unit}'`",
                node.name, node.directory
            ),
        ),
        (false, false) => problem(
            "it does not start with its host",
            format!(
                "add `@reboot {}` to its user's crontab; or stop it: the terraform apply that \
                 starts it again sees to it",
                node.own("start")
            ),
        ),
        _ => None,
    })
}

/// Makes the instance start with its host, or stop doing so.
///
/// Enables an instance of the unit `ob@.service` where root has installed that; writes a unit where
/// we may (as root, or with the sudo commands of `ob sudoers`), or for the run user's own manager
/// if that lingers; and otherwise uses the run user's crontab. What the host itself would do at its
/// boot decides, no note of ours.
#[derive(Clone, Debug)]
pub struct SetBoot {
    /// The instance.
    pub node: Node,
    /// Whether it shall start with its host.
    pub on: bool,
    /// The instance's group ends: the note that is still there does not keep the instance from
    /// starting with its host.
    pub leaving: bool,
}

impl SetBoot {
    /// For an instance outside a group. A member is never made to start with its host, whoever asks
    /// (a lost state, an import).
    #[must_use]
    pub fn new(node: &Node, on: bool) -> Self {
        Self { node: node.clone(), on, leaving: false }
    }
    /// For the last member of a group that ends.
    #[must_use]
    pub fn leaving(node: &Node) -> Self {
        Self { node: node.clone(), on: true, leaving: true }
    }
}

#[async_trait]
impl Step for SetBoot {
    fn id(&self) -> StepId {
        id("set_boot", &self.node).about(if self.on { "on" } else { "off" })
    }
    fn title(&self) -> String {
        if self.on {
            format!("start {} with its host", self.node.show())
        } else {
            format!("keep {} from starting with its host", self.node.show())
        }
    }
    fn host(&self) -> &Host {
        &self.node.host
    }
    fn effect(&self) -> Effect {
        Effect::Shell(if self.on {
            boot!(&self.node, "set_boot.sh").arg(UNIT)
        } else {
            boot!(&self.node, "unset_boot.sh")
        })
    }
    async fn check(&self, cx: &Cx) -> Result<Check, Problem> {
        if self.on && !self.leaving && facts_of(cx, &self.node).await?.member() {
            return Ok(Check::Done);
        }
        let found = Found::look(cx, &self.node).await?;
        if self.on && !found.starts() && found.has("foreign") {
            let unit = unit(&self.node.directory).unwrap_or_default();
            return Ok(Check::Refused(
                Problem::refused(format!(
                    "the unit {unit} on host \"{}\" is somebody else's",
                    self.node.host.endpoint.name
                ))
                .place(self.node.host.endpoint.show())
                .why(format!("it does not start {}, or is a link", self.node.own("start")))
                .fix("remove or rename it by hand, or choose another base_dir"),
            ));
        }
        Ok(match (self.on, found.starts(), found.any()) {
            (true, true, _) | (false, _, false) => Check::Done,
            (true, false, _) => Check::Needed("it does not start with its host".into()),
            (false, true, _) => Check::Needed("it starts with its host".into()),
            (false, false, true) => Check::Needed("its unit is there".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::LIB;
    use super::*;
    use crate::engine::gate;
    use crate::transport::sudo;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::process::Command;

    fn directory(path: &str) -> Directory {
        Directory::parse(path).unwrap()
    }

    #[test]
    fn a_unit_is_named_by_its_directory_as_systemd_reads_it_back() {
        let systemd = Command::new("systemd-escape").arg("--version").output().is_ok();
        for (path, want) in [
            ("/data/main", Some("ob@data-main.service")),
            ("/data/my-db", Some(r"ob@data-my\x2ddb.service")),
            ("/data/my/db", Some("ob@data-my-db.service")),
            ("/.x/a.b_c", Some(r"ob@\x2ex-a.b_c.service")),
            ("/data/ä b%:@", Some(r"ob@data-\xc3\xa4\x20b\x25\x3a\x40.service")),
            ("/data/it's", None),
            (r"/data/a\b", None),
        ] {
            let name = unit(&directory(path));
            assert_eq!(name.as_deref(), want, "{path}");
            if let Some(name) = name.filter(|_| systemd) {
                let mut escape = Command::new("systemd-escape");
                let said = escape.args(["--unescape", "--path", "--instance", &name]).output();
                let said = said.unwrap();
                assert_eq!(String::from_utf8_lossy(&said.stdout).trim_end(), path);
            }
        }
        assert_eq!(unit(&directory(&format!("/{}", "-".repeat(100)))), None, "too long");
    }

    #[test]
    fn systemd_finds_nothing_wrong_with_the_template() {
        let dir = tempfile::tempdir().unwrap();
        let text = template("root").replace("/%I/.ob/start", "/bin/true");
        assert!(!text.contains(RUN_USER), "each place of the user is filled: {text}");
        fs::write(dir.path().join(r"ob@data-my\x2ddb.service"), text).unwrap();
        let mut verify = Command::new("systemd-analyze");
        let said =
            verify.args(["verify", "--man=no"]).arg(dir.path().join(r"ob@data-my\x2ddb.service"));
        let Ok(said) = said.output() else {
            eprintln!("SKIPPED systemd_finds_nothing_wrong_with_the_template: no systemd-analyze");
            return;
        };
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("ob@"), "{said}");
    }

    /// The programs on a host of their own: folders in the place of systemd's, and stand-ins for
    /// `systemctl` and `crontab`. Needs root, because root's files are told from others'.
    struct Machine {
        dir: tempfile::TempDir,
    }

    const UNIT_OF_MAIN: &str = "ob@data-main.service";

    impl Machine {
        fn new(test: &str) -> Option<Self> {
            if !rustix::process::geteuid().is_root() {
                eprintln!("SKIPPED {test}: needs root");
                return None;
            }
            // Not below /tmp, where others may write.
            let machine = Self { dir: tempfile::tempdir_in("/var").unwrap() };
            for folder in ["units", "run", "bin", "home/.ob"] {
                fs::create_dir_all(machine.at(folder)).unwrap();
            }
            let (units, table) = (machine.show("units"), machine.show("crontab"));
            let systemctl = format!(
                "cd {units} || exit\ncase $1 in\n\
                 enable) f=$2; [ -e \"$f\" ] || f=ob@.service; [ -e \"$f\" ] || exit 1\n\
                 mkdir -p multi-user.target.wants\n\
                 ln -sfn \"{units}/$f\" \"multi-user.target.wants/$2\" ;;\n\
                 disable) rm -f \"multi-user.target.wants/$2\" ;;\nesac\n"
            );
            let crontab = format!(
                "[ ! -e {table}.shut ] || {{ echo 'must be suid to work' >&2; exit 1; }}\n\
                 case $1 in\n-l) cat {table} 2>/dev/null || {{ echo 'no crontab for root' >&2; \
                 exit 1; }} ;;\n-r) rm {table} ;;\n\
                 -) [ ! -e {table}.slow ] || sleep 0.2; cat > {table} ;;\nesac\n"
            );
            for (name, text) in [("systemctl", systemctl), ("crontab", crontab)] {
                let file = machine.at(&format!("bin/{name}"));
                fs::write(&file, format!("#!/bin/sh\n{text}")).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
            }
            Some(machine)
        }
        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }
        fn show(&self, name: &str) -> String {
            self.at(name).display().to_string()
        }
        fn write(&self, name: &str, text: &str) {
            fs::write(self.at(name), text).unwrap();
        }
        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.at(name)).unwrap_or_default()
        }
        /// Runs a program about the object "main" in `/data/main`.
        fn run(&self, program: &str) -> Result<String, String> {
            self.run_with(LINE, program)
        }
        fn run_with(&self, line: &str, program: &str) -> Result<String, String> {
            let library = [gate::LIB, sudo::ROOT, sudo::ONLY_ROOT, LIB, BOOT, program].concat();
            let library = library
                .replace("/etc/systemd/system", &self.show("units"))
                .replace("/run/systemd/system", &self.show("run"));
            let path = format!("{}:{}", self.show("bin"), std::env::var("PATH").unwrap());
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &library, "sh", "/data/main", UNIT_OF_MAIN, "ob-main.service"]);
            shell.args([line, UNIT]).env("PATH", path).env("OB_STATE", self.show("home/.ob"));
            let out = shell.output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
        }
        fn set(&self) -> Result<String, String> {
            self.run(include_str!("set_boot.sh"))
        }
        fn unset(&self) -> Result<String, String> {
            self.run(include_str!("unset_boot.sh"))
        }
        fn look(&self) -> Found {
            Found(key_values(&self.run(include_str!("look_boot.sh")).unwrap()))
        }
        /// What lies where systemd reads units.
        fn units(&self) -> Vec<String> {
            let mut shell = Command::new("sh");
            let find = "cd \"$0\" && find . -mindepth 1 ! -type d -printf '%P\\n' | sort";
            let out = shell.args(["-c", find, &self.show("units")]).output().unwrap();
            String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
        }
    }

    const LINE: &str = "@reboot /data/main/.ob/start >/dev/null 2>&1 # ob:main:/data/main";
    const LINK: &str = "multi-user.target.wants/ob@data-main.service";

    #[test]
    fn a_unit_is_written_or_the_template_used_and_undone_exactly() {
        let Some(m) = Machine::new("a_unit_is_written_or_the_template_used_and_undone_exactly")
        else {
            return;
        };
        let foreign = format!("0 1 * * * backup {LINE}\n");
        m.write("crontab", &format!("{foreign}{LINE}\n"));
        assert!(m.look().starts(), "by the crontab");
        m.set().unwrap();
        assert_eq!(m.units(), [LINK, UNIT_OF_MAIN]);
        assert_eq!(m.read(&format!("units/{UNIT_OF_MAIN}")), template("root"));
        assert_eq!(m.read("crontab"), foreign, "one entry is left, and no other line is touched");
        assert!(m.look().starts() && !m.look().has("line"));
        m.set().unwrap();
        assert_eq!(m.units(), [LINK, UNIT_OF_MAIN], "twice is once");
        // Whoever disables it by hand is seen, and so is what is left of it then.
        fs::remove_file(m.at("units").join(LINK)).unwrap();
        assert!(!m.look().starts() && m.look().any());
        m.unset().unwrap();
        assert!(m.units().is_empty() && !m.look().any());

        m.write("units/ob@.service", &template("root"));
        m.set().unwrap();
        assert_eq!(m.units(), [LINK, "ob@.service"], "no unit of its own");
        assert!(m.look().starts());
        m.write("units/ob@.service", "[Service]\nExecStart=/bin/other\n");
        assert!(!m.look().starts() && m.look().any(), "the template starts something else");
        m.unset().unwrap();
        assert_eq!(m.units(), ["ob@.service"]);

        for (what, template) in
            [("another user's", template("obsvc")), ("not ours", "[Service]\n".to_owned())]
        {
            m.write("units/ob@.service", &template);
            m.set().unwrap();
            assert_eq!(m.units(), [LINK, "ob@.service", UNIT_OF_MAIN], "{what}");
            m.unset().unwrap();
            assert_eq!(m.units(), ["ob@.service"], "{what}");
        }
    }

    #[test]
    fn a_unit_of_somebody_else_is_neither_overwritten_nor_removed() {
        let Some(m) = Machine::new("a_unit_of_somebody_else_is_neither_overwritten_nor_removed")
        else {
            return;
        };
        for text in [
            "[Service]\nExecStart=/data/other/.ob/start\n",
            "[Service]\nExecStartPre=/bin/evil\nExecStart=/%I/.ob/start\n",
            "",
        ] {
            m.write(&format!("units/{UNIT_OF_MAIN}"), text);
            assert!(m.look().has("foreign") && !m.look().any(), "{text}");
            assert!(m.set().unwrap_err().contains("somebody else's"), "{text}");
            m.unset().unwrap();
            assert_eq!(m.units(), [UNIT_OF_MAIN]);
            assert_eq!(m.read(&format!("units/{UNIT_OF_MAIN}")), text);
        }
        m.write("precious", &template("root"));
        fs::remove_file(m.at("units").join(UNIT_OF_MAIN)).unwrap();
        symlink(m.at("precious"), m.at("units").join(UNIT_OF_MAIN)).unwrap();
        assert!(m.look().has("foreign") && m.set().is_err(), "a link");
        m.unset().unwrap();
        assert_eq!(m.units(), [UNIT_OF_MAIN]);

        // The directory of units is not root's alone: root writes nothing there.
        fs::remove_file(m.at("units").join(UNIT_OF_MAIN)).unwrap();
        fs::set_permissions(m.at("units"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(m.set().unwrap_err().contains("others than root may write in"));
        assert!(m.units().is_empty());
    }

    #[test]
    fn the_unit_of_the_former_name_goes_only_if_it_starts_this_directory() {
        let Some(m) =
            Machine::new("the_unit_of_the_former_name_goes_only_if_it_starts_this_directory")
        else {
            return;
        };
        let former = |directory: &str| {
            let text = format!("[Service]\nType=forking\nExecStart={directory}/.ob/start\n");
            m.write("units/ob-main.service", &text);
            m.run("root systemctl enable \"$former\"").unwrap();
        };
        former("/data/main");
        assert!(m.look().starts());
        m.set().unwrap();
        assert_eq!(m.units(), [LINK, UNIT_OF_MAIN]);
        former("/data/main");
        m.unset().unwrap();
        assert!(m.units().is_empty());

        let theirs = ["multi-user.target.wants/ob-main.service", "ob-main.service"];
        former("/home/other/main");
        assert!(!m.look().starts() && !m.look().any());
        m.set().unwrap();
        m.unset().unwrap();
        assert_eq!(m.units(), theirs, "another object of that name starts by it");
    }

    #[test]
    fn without_systemd_one_line_of_the_crontab_comes_and_goes() {
        let Some(m) = Machine::new("without_systemd_one_line_of_the_crontab_comes_and_goes") else {
            return;
        };
        fs::remove_dir(m.at("run")).unwrap();
        m.set().unwrap();
        m.set().unwrap();
        assert_eq!((m.read("crontab"), m.look().starts()), (format!("{LINE}\n"), true));
        m.unset().unwrap();
        assert!(!m.at("crontab").exists() && !m.look().any());

        let theirs = format!("# {LINE}\n@reboot /data/main2/.ob/start # ob:main:/data/main2\n");
        m.write("crontab", &theirs);
        assert!(!m.look().any());
        m.unset().unwrap();
        assert_eq!(m.read("crontab"), theirs);
        m.set().unwrap();
        assert_eq!(m.read("crontab"), format!("{theirs}{LINE}\n"));
        m.unset().unwrap();
        assert_eq!(m.read("crontab"), theirs);

        // Objects of one user do so at once, and each keeps its line.
        m.write("crontab.slow", "");
        let ours = ["@reboot one", "@reboot two", "@reboot three"];
        for (program, there) in
            [(include_str!("set_boot.sh"), true), (include_str!("unset_boot.sh"), false)]
        {
            std::thread::scope(|s| {
                for line in ours {
                    let m = &m;
                    s.spawn(move || m.run_with(line, program).unwrap());
                }
            });
            let table = m.read("crontab");
            assert!(table.starts_with(&theirs), "{table}");
            for line in ours {
                assert_eq!(table.lines().any(|l| l == line), there, "{line}: {table}");
            }
        }

        // A crontab that cannot be read is not taken for an empty one.
        m.write("crontab.shut", "");
        assert!(m.set().unwrap_err().contains("cannot be read") && m.unset().is_err());
        fs::remove_file(m.at("crontab.shut")).unwrap();
        assert_eq!(m.read("crontab"), theirs);
    }

    /// A server that is down and that nothing starts was stopped by somebody; each way to start it
    /// counts.
    #[test]
    fn what_starts_a_server_at_a_boot_is_found_in_each_place() {
        let Some(m) = Machine::new("what_starts_a_server_at_a_boot_is_found_in_each_place") else {
            return;
        };
        let held = |name: &str| {
            let base = m.show(name);
            fs::create_dir_all(m.at(name).join("store/redo")).unwrap();
            let about =
                format!("base='{base}' own=$base/.ob; set -- $base key 0B41 {UNIT_OF_MAIN}\n");
            m.run(&(about + include_str!("../look.sh")))
                .unwrap()
                .lines()
                .any(|l| l == "held=system,disabled")
        };
        m.write("units/ob@.service", &template("root"));
        assert!(held("data/main"), "root's template alone starts nothing");
        m.write("crontab", &format!("@reboot x # ob:main:{}\n", m.show("data/main2")));
        assert!(held("data/main") && !held("data/main2"), "the line of another directory");
        m.write("crontab", "");
        let wants = "home/.config/systemd/user/default.target.wants";
        fs::create_dir_all(m.at(wants)).unwrap();
        symlink("x", m.at(wants).join(UNIT_OF_MAIN)).unwrap();
        assert!(!held("data/main"), "the run user's own manager");
        fs::remove_file(m.at(wants).join(UNIT_OF_MAIN)).unwrap();
        assert!(held("data/main"));
        m.run("root systemctl enable \"$unit\"").unwrap();
        assert!(!held("data/main"), "the system's");
    }
}
