//! The parts that graphs about a group are made of: moves of the role, builds and rejoins share
//! them.
use super::{Seen, Want, once};
use crate::component::seekdb::group::{Group, WriteGroup};
use crate::component::seekdb::steps::{
    BeginStore, CopyAccount, CopyRootPasswords, EndNote, Follow, FreezeLog, Note, PointSource,
    SetAside, SetBoot, Start, StartServer, Stop, StopServer,
};
use crate::component::seekdb::{Dialect, Instance};
use crate::engine::{Engine, Graph, Node, Step};

/// A graph about one group while it is being written.
pub(super) struct Plan<'a> {
    pub want: &'a Want,
    pub dialect: &'static Dialect,
    pub g: Graph,
}

impl Plan<'_> {
    pub fn member(&self, name: &str) -> Option<Node> {
        self.want.members.get(name).cloned()
    }
    pub fn others(&self, than: &str) -> Vec<Node> {
        self.want.members.iter().filter(|(n, _)| *n != than).map(|(_, i)| i.clone()).collect()
    }
    fn group(&self, epoch: u64, primary: &str) -> Group {
        Group::new(
            Engine::Seekdb,
            &self.want.name,
            &self.want.creation,
            epoch,
            primary,
            self.want.members.clone(),
        )
    }
    pub fn note(&mut self, member: &str, epoch: u64, primary: &str) {
        if let Some(node) = self.member(member) {
            let group = self.group(epoch, primary);
            let step = WriteGroup { node, group };
            // Only once per member: two parts of a plan may ask for the same note.
            if !self.g.has(&step.id()) {
                self.g.then(step);
            }
        }
    }
    /// Others read the log of `member` at another address than when it was seen.
    pub fn readdressed(&self, seen: &Seen, member: &str) -> bool {
        match (seen.members.get(member), self.want.members.get(member)) {
            (Some(then), Some(now)) => then.source() != now.source(),
            _ => false,
        }
    }
    /// Points a standby at another address of the primary. When it does not follow there, it is
    /// pointed back, and nothing else is changed.
    pub fn repoint(&mut self, member: &str, former: &Node, primary: &Node) {
        let Some(node) = self.member(member) else { return };
        let to = |source: &Node| PointSource {
            node: node.clone(),
            source: source.clone(),
            proved: true,
        };
        self.g.then(to(primary));
        let follows = self.g.then(Follow { node: node.clone(), primary: primary.clone() });
        let back = PointSource { proved: false, ..to(former) };
        self.g.way_back(follows, vec![std::sync::Arc::new(back)]);
    }
    /// Writes one part for each of these members. The parts run beside each other; what is written
    /// next waits for all of them.
    pub fn each<'n>(
        &mut self,
        members: impl Iterator<Item = &'n String>,
        mut part: impl FnMut(&mut Plan<'_>, &str),
    ) {
        let (want, dialect) = (self.want, self.dialect);
        let parts = members.map(|name| {
            let mut plan = Plan { want, dialect, g: Graph::new() };
            part(&mut plan, name);
            plan.g
        });
        let parts: Vec<_> = parts.collect();
        self.g.each(parts);
    }
    pub fn start(&mut self, member: &str, join: Option<&Node>) {
        if let (Some(node), Some(package)) =
            (self.member(member), self.want.packages.get(member).cloned())
        {
            self.g.then(StartServer {
                node,
                package,
                start: join.map_or(Start::Member, |p| Start::Join(p.source())),
            });
        }
    }

    /// Builds a standby out of a member that was not in the group before. What it has of a former
    /// membership is set aside first.
    pub fn join(&mut self, member: &str, epoch: u64, primary: &str) {
        let Some(source) = self.member(primary) else { return };
        self.former(member, epoch, primary);
        self.note(member, epoch, primary);
        self.build(member, &source);
    }
    /// Sets aside what a member that joins has of a former membership; refuses any other store.
    pub fn former(&mut self, member: &str, epoch: u64, primary: &str) {
        let (Some(node), Some(source)) = (self.member(member), self.member(primary)) else {
            return;
        };
        let group = self.group(epoch, primary);
        let once = once(epoch, &self.want.creation);
        let step = SetAside::former(node, &once, group, source);
        if !self.g.has(&step.id()) {
            self.g.then(step);
        }
    }

    /// Builds `member` as a standby of `primary` from nothing.
    pub fn build(&mut self, member: &str, primary: &Node) {
        let Some(node) = self.member(member) else { return };
        self.g.then(SetBoot::new(&node, false));
        self.g.then(CopyAccount { from: primary.clone(), to: node.clone() });
        self.g.then(CopyRootPasswords { from: primary.clone(), to: node.clone() });
        self.g.then(BeginStore { node: node.clone(), source: primary.source() });
        if self.dialect.freeze {
            self.g.then(FreezeLog { primary: primary.clone(), standby: node.clone() });
        }
        self.start(member, Some(primary));
        self.g.then(Follow { node: node.clone(), primary: primary.clone() });
        self.g.then(EndNote { node, note: Note::Store });
    }

    /// Makes a fenced former primary follow `primary`. 1.4 restarts it first, because a fenced
    /// process follows nobody. 1.3 starts it only if it may have lost its power (`runs` is false).
    pub fn rejoin(&mut self, member: &str, primary: &Node, runs: bool) {
        let Some(node) = self.member(member) else { return };
        if self.dialect.restart_after_fence {
            self.g.then(StopServer { node: node.clone(), stop: Stop::Fenced });
        }
        if self.dialect.restart_after_fence || !runs {
            self.start(member, Some(primary));
        }
        self.g.then(PointSource { node: node.clone(), source: primary.clone(), proved: false });
        self.g.then(Follow { node: node.clone(), primary: primary.clone() });
        self.g.then(EndNote { node, note: Note::Fence });
    }
}
