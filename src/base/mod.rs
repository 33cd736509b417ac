//! What every layer shares: names, problems, secrets, units, shell quoting, safe text and dates.
pub mod date;
pub mod ids;
pub mod import_id;
pub mod in_use;
pub mod memo;
pub mod names;
pub mod pauses;
pub mod problem;
pub mod secret;
pub mod shell;
pub mod sql;
pub mod units;
pub mod visible;

pub use ids::{CreationId, OperationId};
pub use import_id::ImportId;
pub use in_use::InUse;
pub use memo::Memo;
pub use names::{Address, Directory, ObjectName};
pub use pauses::Pauses;
pub use problem::{Kind, Problem};
pub use secret::Secret;
pub use visible::visible;
