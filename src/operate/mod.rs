//! What commands and a server do with objects beyond Terraform's verbs: look at what lies on hosts,
//! put histories together, open a group by its kit, give an operation up, compute a planned change.
//!
//! Nothing here prints; what is worth telling comes back as data.
pub mod abandon;
pub mod aside;
pub mod gone;
pub mod group;
pub mod history;
pub mod inventory;
pub mod kit;
pub mod planned;

pub use kit::Kit;
