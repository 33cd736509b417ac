//! What this program knows about each piece of software: how to install, start, ask and change it.
//! Facts are read from hosts and servers, never guessed.
pub mod database;
pub mod host;
pub mod mysql;
pub mod package;
pub mod seekdb;
pub mod sql;
