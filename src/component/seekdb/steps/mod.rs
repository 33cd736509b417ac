//! The steps of seekdb, one effect each.
mod account;
mod activate;
mod adopt;
mod boot;
mod claim;
mod close_files;
mod end_note;
mod fence;
mod fresh;
mod gone;
mod loss;
mod parameter;
mod process;
mod prune;
mod remove;
mod replicate;
mod restart;
mod room;
mod root_password;
mod rotate;
mod sessions;
mod store;
mod take_log;
mod use_package;

pub use account::{CopyAccount, CreateAccount, WriteAccount};
pub use activate::Activate;
pub use adopt::Adopt;
pub(super) use boot::unit;
pub use boot::{SetBoot, differs, template};
pub use claim::{Claim, SetStage};
pub use close_files::CloseFiles;

pub use end_note::{EndNote, Note};
pub use fence::{Follow, NobodyWrites, NoteFence};
pub use fresh::ProveFresh;
pub use gone::ProveGone;
pub use loss::{Loss, NoteLoss, end_of_log};
pub use parameter::{SetParameter, same_value, truth};
pub use process::{Start, StartServer, Stop, StopServer};
pub use prune::PrunePackages;
pub use remove::{RemoveHome, RemoveStore};
pub use replicate::{FENCE, Fence, FreezeLog, PointSource, Promote, Reopen};
pub use restart::{BeginRestart, primary_stays};
pub use room::ProveRoom;
pub use root_password::{
    CopyRootPasswords, KeepRootPassword, RootPassword, SetRootPassword, root_now, working_root,
};
pub use rotate::{ChangePassword, KeepPassword, OfferPassword, SharePassword};
pub use sessions::{EndFenced, EndSessions};
pub use store::{BeginStore, SetAside};
pub use take_log::TakeLog;
pub use use_package::{PlacePackage, UsePackage};

use super::{Facts, facts};
use crate::base::Problem;
use crate::engine::{Cx, Node, StepId, StepKind};

async fn facts_of(cx: &Cx, node: &Node) -> Result<Facts, Problem> {
    facts::read(cx, node).await
}

/// The identity of a step of this kind about an instance.
fn id(kind: &'static str, node: &Node) -> StepId {
    StepId::new(StepKind(kind), &node.host, &node.directory)
}
