//! Compares two databases table by table: first by count and checksum, then by buckets of keys,
//! then by rows.
use crate::component::sql::{Row, Session, SqlError, identifier, literal};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many buckets a table's keys fall into. Only buckets that differ are read row by row.
const BUCKETS: u32 = 1024;
/// Rows whose digests are read at once, unless one bucket has more.
const CHUNK: u64 = 100_000;

/// What one table of the store has that the primary has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDiff {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Primary key; empty when it has none and whole rows are compared.
    pub key: Vec<String>,
    /// Names of the columns of `rows`.
    pub columns: Vec<String>,
    /// Number of rows whose key the primary has not.
    pub only_there: u64,
    /// Number of rows whose key the primary has with other values (it may have changed them since).
    pub differ: u64,
    /// The first of `only_there`.
    pub rows: Vec<Row>,
    /// The first of `differ`, as they are in the store.
    pub differing: Vec<Row>,
    /// A remark for people; may be empty.
    pub note: String,
}

/// A table's columns (name and whether its values are bytes) and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    columns: Vec<(String, bool)>,
    key: Vec<String>,
}

const SYSTEM: &str = "('oceanbase', 'mysql', 'information_schema', 'sys', 'SYS', 'LBACSYS', \
                      'ORAAUDITOR', '__public', '__recyclebin')";

/// Compares every table of users that `there` (the store) has with the table of the same name that
/// `here` (the primary) has. Gives the tables that differ, with `limit` rows of each kind at most.
///
/// # Errors
/// A statement failed.
pub async fn all(
    there: &mut Session,
    here: &mut Session,
    limit: usize,
) -> Result<Vec<TableDiff>, SqlError> {
    let (left, right) = (shapes(there).await?, shapes(here).await?);
    let mut out = Vec::new();
    for ((database, name), shape) in &left {
        let fresh = TableDiff {
            database: database.clone(),
            table: name.clone(),
            key: shape.key.clone(),
            columns: shape.columns.iter().map(|c| c.0.clone()).collect(),
            only_there: 0,
            differ: 0,
            rows: Vec::new(),
            differing: Vec::new(),
            note: String::new(),
        };
        let found = match right.get(&(database.clone(), name.clone())) {
            Some(other) => table(there, here, fresh, shape, other, limit).await?,
            None => missing(there, fresh, limit).await?,
        };
        if found.only_there > 0 || found.differ > 0 || !found.note.is_empty() {
            out.push(found);
        }
    }
    Ok(out)
}

async fn shapes(session: &mut Session) -> Result<BTreeMap<(String, String), Shape>, SqlError> {
    let mut all: BTreeMap<(String, String), Shape> = BTreeMap::new();
    let text = |row: &Row, n: usize| row.get(n).cloned().flatten().unwrap_or_default();
    for row in session
        .query(&format!(
            "select table_schema, table_name from information_schema.tables where table_type = \
             'BASE TABLE' and table_schema not in {SYSTEM}"
        ))
        .await?
    {
        all.insert((text(&row, 0), text(&row, 1)), Shape::default());
    }
    for row in session
        .query(&format!(
            "select table_schema, table_name, column_name, data_type from \
             information_schema.columns where table_schema not in {SYSTEM} order by table_schema, \
             table_name, ordinal_position"
        ))
        .await?
    {
        if let Some(shape) = all.get_mut(&(text(&row, 0), text(&row, 1))) {
            let kind = text(&row, 3).to_ascii_lowercase();
            shape.columns.push((
                text(&row, 2),
                kind.contains("blob") || kind.contains("binary") || kind == "bit",
            ));
        }
    }
    for row in session
        .query(&format!(
            "select table_schema, table_name, column_name from information_schema.statistics where \
             index_name = 'PRIMARY' and table_schema not in {SYSTEM} order by table_schema, \
             table_name, seq_in_index"
        ))
        .await?
    {
        if let Some(shape) = all.get_mut(&(text(&row, 0), text(&row, 1))) {
            shape.key.push(text(&row, 2));
        }
    }
    Ok(all)
}

/// An SQL expression over columns. It is equal for two rows exactly when all values are equal.
fn joined(columns: &[(String, bool)]) -> String {
    let one = |(name, bytes): &(String, bool)| {
        let c = identifier(name);
        if *bytes {
            format!("ifnull(hex({c}), '~')")
        } else {
            format!("ifnull(hex(cast({c} as char)), '~')")
        }
    };
    format!("concat_ws('|', {})", columns.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// An SQL expression for 60 bits of a digest as a number, so that sums can be compared.
fn number(expression: &str) -> String {
    format!("cast(conv(substr(md5({expression}), 1, 15), 16, 10) as unsigned)")
}

fn place(d: &TableDiff) -> String {
    format!("{}.{}", identifier(&d.database), identifier(&d.table))
}

async fn missing(
    there: &mut Session,
    mut d: TableDiff,
    limit: usize,
) -> Result<TableDiff, SqlError> {
    d.only_there = there
        .value(&format!("select count(*) from {}", place(&d)))
        .await?
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    d.rows = there.query(&format!("select * from {} limit {limit}", place(&d))).await?;
    d.note = "the other has no such table".into();
    Ok(d)
}

async fn table(
    there: &mut Session,
    here: &mut Session,
    mut d: TableDiff,
    shape: &Shape,
    other: &Shape,
    limit: usize,
) -> Result<TableDiff, SqlError> {
    // Compare the columns that both have: one that was added or dropped since must not make every
    // row differ.
    let common: Vec<_> =
        shape.columns.iter().filter(|c| other.columns.contains(c)).cloned().collect();
    if common.len() != shape.columns.len() || common.len() != other.columns.len() {
        d.note = "its columns differ; those of both were compared".into();
    }
    let by_key = !shape.key.is_empty() && shape.key == other.key;
    if !by_key {
        d.key.clear();
    }
    let key: Vec<_> = if by_key {
        common.iter().filter(|c| shape.key.contains(&c.0)).cloned().collect()
    } else {
        common.clone()
    };
    let (row, key) = (number(&joined(&common)), number(&joined(&key)));
    let at = place(&d);
    let whole = format!("select count(*), coalesce(sum({row}), 0) from {at}");
    if there.query(&whole).await? == here.query(&whole).await? {
        return Ok(d);
    }
    let buckets = format!("select {key} % {BUCKETS} b, count(*), sum({row}) from {at} group by b");
    let known: BTreeSet<Row> = here.query(&buckets).await?.into_iter().collect();
    let theirs = there.query(&buckets).await?;
    let differ: Vec<Row> = theirs.into_iter().filter(|r| !known.contains(r)).collect();
    let mut largest: BTreeMap<&str, u64> = BTreeMap::new();
    for (bucket, rows) in known.iter().chain(&differ).filter_map(size) {
        let most = largest.entry(bucket).or_default();
        *most = rows.max(*most);
    }
    // Of each row to show: the digest of its key, and whether the primary has that key.
    let mut shown: Vec<(String, bool)> = Vec::new();
    for some in chunks(differ.iter().filter_map(size).map(|(b, _)| (b, largest[b]))) {
        let filter = some.iter().map(|b| literal(b)).collect::<Vec<_>>().join(", ");
        let rows = format!("select {key}, {row} from {at} where {key} % {BUCKETS} in ({filter})");
        let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for r in here.query(&rows).await? {
            if let [Some(k), Some(h)] = &r[..] {
                known.entry(k.clone()).or_default().push(h.clone());
            }
        }
        for r in there.query(&rows).await? {
            let [Some(k), Some(h)] = &r[..] else { continue };
            let same = known.get_mut(k).map(|all| {
                // Each row of the primary stands for one row there: without a key the same row may
                // be there twice.
                let found = all.iter().position(|x| x == h);
                if !by_key && let Some(n) = found {
                    all.swap_remove(n);
                }
                found.is_some()
            });
            let differs = match same {
                Some(true) => continue,
                Some(false) => by_key,
                None => false,
            };
            let count = if differs { &mut d.differ } else { &mut d.only_there };
            *count += 1;
            if *count <= limit as u64 {
                shown.push((k.clone(), differs));
            }
        }
    }
    show(there, &mut d, shape, &key, &shown).await?;
    Ok(d)
}

/// Reads the rows that are to be shown.
async fn show(
    there: &mut Session,
    d: &mut TableDiff,
    shape: &Shape,
    key: &str,
    shown: &[(String, bool)],
) -> Result<(), SqlError> {
    if shown.is_empty() {
        return Ok(());
    }
    let columns = shape.columns.iter().map(|c| identifier(&c.0)).collect::<Vec<_>>().join(", ");
    let keys: BTreeSet<_> = shown.iter().map(|(k, _)| literal(k)).collect();
    let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
    let rows = format!("select {key}, {columns} from {} where {key} in ({keys})", place(d));
    let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for mut r in there.query(&rows).await? {
        let values = r.split_off(1);
        if let [Some(k)] = &r[..] {
            found.entry(k.clone()).or_default().push(values);
        }
    }
    for (k, differs) in shown {
        if let Some(values) = found.get_mut(k).and_then(Vec::pop) {
            if *differs { &mut d.differing } else { &mut d.rows }.push(values);
        }
    }
    Ok(())
}

/// A bucket and how many rows it has.
fn size(row: &Row) -> Option<(&str, u64)> {
    match &row[..] {
        [Some(bucket), Some(rows), ..] => Some((bucket, rows.parse().ok()?)),
        _ => None,
    }
}

/// Buckets in groups that fit into one answer.
fn chunks<'a>(buckets: impl Iterator<Item = (&'a str, u64)>) -> Vec<Vec<&'a str>> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    let mut rows = 0;
    for (bucket, more) in buckets {
        rows += more;
        match groups.last_mut() {
            Some(group) if rows <= CHUNK && group.len() < 64 => group.push(bucket),
            _ => {
                groups.push(vec![bucket]);
                rows = more;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_read_in_groups_that_fit() {
        let grouped = chunks([("a", 60_000), ("b", 40_000), ("c", 1), ("d", 400_000)].into_iter());
        assert_eq!(grouped, [vec!["a", "b"], vec!["c"], vec!["d"]]);
        assert_eq!(chunks((0..70).map(|_| ("x", 0))).iter().map(Vec::len).max(), Some(64));
    }

    #[test]
    fn hostile_column_names_stay_inside_their_quotes() {
        let columns = [("a`b".to_owned(), false), ("raw".to_owned(), true)];
        assert_eq!(
            joined(&columns),
            "concat_ws('|', ifnull(hex(cast(`a``b` as char)), '~'), ifnull(hex(`raw`), '~'))"
        );
    }
}
