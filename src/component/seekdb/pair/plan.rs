//! What graphs about a group are written with: the parts that moves of the role, builds and rejoins
//! share.
use super::Want;
use crate::component::seekdb::Instance;
use crate::component::seekdb::group::{Group, WriteGroup};
use crate::component::seekdb::steps::{
    BeginStore, CopyAccount, EndNote, EndSessions, Follow, FreezeLog, Note, PointSource, SetBoot,
    Start, StartServer, StopServer,
};
use crate::engine::{Graph, Step};

/// A graph about one group that is being written.
pub(super) struct Plan<'a> {
    pub want: &'a Want,
    pub g: Graph,
}

/// What every graph about a group does first after a take-over; a member that cannot be asked is
/// passed over by name.
pub(super) fn begin<'a>(members: impl Iterator<Item = &'a Instance>) -> Graph {
    let mut g = Graph::new();
    for instance in members {
        g.after_take_over(EndSessions { instance: instance.clone() });
    }
    g
}

impl Plan<'_> {
    pub fn member(&self, name: &str) -> Option<Instance> {
        self.want.members.get(name).cloned()
    }
    pub fn others(&self, than: &str) -> Vec<Instance> {
        self.want.members.iter().filter(|(n, _)| *n != than).map(|(_, i)| i.clone()).collect()
    }
    pub fn note(&mut self, member: &str, epoch: u64, primary: &str) {
        if let Some(instance) = self.member(member) {
            let group = Group::new(&self.want.name, "", epoch, primary, self.want.members.clone());
            let step = WriteGroup { instance, group };
            // Once per member: two parts of a plan may ask for the same note.
            if !self.g.titles().contains(&step.title()) {
                self.g.then(step);
            }
        }
    }
    pub fn start(&mut self, member: &str, join: Option<&Instance>) {
        if let (Some(instance), Some(package)) =
            (self.member(member), self.want.packages.get(member).cloned())
        {
            self.g.then(StartServer {
                instance,
                package,
                start: join.map_or(Start::Member, |p| Start::Join(p.source())),
            });
        }
    }

    /// Makes `member` a standby of `primary` from nothing.
    pub fn build(&mut self, member: &str, primary: &Instance) {
        let Some(instance) = self.member(member) else { return };
        self.g.then(SetBoot::new(&instance, false));
        self.g.then(CopyAccount { from: primary.clone(), to: instance.clone() });
        self.g.then(BeginStore { instance: instance.clone(), source: primary.source() });
        self.g.then(FreezeLog { primary: primary.clone(), standby: instance.clone() });
        self.start(member, Some(primary));
        self.g.then(Follow { instance: instance.clone(), primary: primary.clone() });
        self.g.then(EndNote { instance, note: Note::Store });
    }

    /// Restarts a fenced former primary, which then follows as soon as it is pointed at `primary`
    /// (a fenced process never does).
    pub fn rejoin(&mut self, member: &str, primary: &Instance) {
        let Some(instance) = self.member(member) else { return };
        self.g.then(StopServer { instance: instance.clone(), fenced_only: true, restart: false });
        self.start(member, Some(primary));
        self.g.then(PointSource { instance: instance.clone(), source: primary.clone() });
        self.g.then(Follow { instance: instance.clone(), primary: primary.clone() });
        self.g.then(EndNote { instance, note: Note::Fence });
    }
}
