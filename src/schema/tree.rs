//! A value of the wire as a tree, brought into one form so that two of them can be compared.
//!
//! In that form every object holds every attribute in the order of their names, maps are ordered by
//! key, sets are ordered and without doubles, whole numbers are integers and every unknown value is
//! the same one.
use rmpv::Value as V;

/// A value of the wire. (`tf-provider`'s `Value<T>` is for typed states; it is read from this.)
pub type Tree = V;

/// The unknown value in its plain form, as core writes it.
#[must_use]
pub fn unknown() -> Tree {
    V::Ext(0, vec![0])
}
/// Whether the value is unknown, refined or not.
#[must_use]
pub fn is_unknown(tree: &Tree) -> bool {
    matches!(tree, V::Ext(..))
}
/// Whether no part of the value is unknown.
#[must_use]
pub fn wholly_known(tree: &Tree) -> bool {
    match tree {
        V::Ext(..) => false,
        V::Array(all) => all.iter().all(wholly_known),
        V::Map(all) => all.iter().all(|(_, v)| wholly_known(v)),
        _ => true,
    }
}
/// The attribute or map element `name`; null when the tree has none.
#[must_use]
pub fn get<'a>(tree: &'a Tree, name: &str) -> &'a Tree {
    entry(tree, name).unwrap_or(&V::Nil)
}
/// Like [`get`], but `None` when the tree has no such entry.
#[must_use]
pub fn entry<'a>(tree: &'a Tree, name: &str) -> Option<&'a Tree> {
    let V::Map(all) = tree else { return None };
    all.iter().find(|(k, _)| k.as_str() == Some(name)).map(|(_, v)| v)
}
/// The attribute or map element `name`, to change it.
pub fn get_mut<'a>(tree: &'a mut Tree, name: &str) -> Option<&'a mut Tree> {
    let V::Map(all) = tree else { return None };
    all.iter_mut().find(|(k, _)| k.as_str() == Some(name)).map(|(_, v)| v)
}

/// How deep a value may be nested; ours are about ten deep, and each level counts twice or more.
const DEPTH: usize = 200;

/// Reads one whole msgpack value; no bytes at all are null.
///
/// # Errors
/// The bytes are cut, nested too deep, or more than one value.
pub fn read(bytes: &[u8]) -> Result<Tree, String> {
    if bytes.is_empty() {
        return Ok(V::Nil);
    }
    let mut rest = bytes;
    let tree = rmpv::decode::read_value_with_max_depth(&mut rest, DEPTH);
    let tree = tree.map_err(|e| e.to_string())?;
    if rest.is_empty() { Ok(tree) } else { Err(format!("{} bytes follow the value", rest.len())) }
}
/// Writes a tree as msgpack.
#[must_use]
pub fn write(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into a vector cannot fail.
    let _ = rmpv::encode::write_value(&mut out, tree);
    out
}
/// What people call the kind of value this is.
#[must_use]
pub fn kind(tree: &Tree) -> &'static str {
    match tree {
        V::Nil => "null",
        V::Boolean(_) => "a bool",
        V::Integer(_) | V::F32(_) | V::F64(_) => "a number",
        V::String(_) => "a string",
        V::Binary(_) => "bytes",
        V::Array(_) => "a list",
        V::Map(_) => "an object or map",
        V::Ext(..) => "unknown",
    }
}
