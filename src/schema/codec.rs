//! Converts between values of the wire and typed states, by the schema.
//!
//! serde alone would say "data did not match any variant of untagged enum Value" and name no
//! attribute. So every value is first walked with its schema. The walk finds everything that is
//! wrong, each with its path, and brings the tree into its normal form ([`super::tree`]). Only then
//! serde sees it. On the way out the same walk proves that the state holds exactly what the schema
//! promises.
use super::table::{Schema, sorted};
use super::tree::{self, Tree};
use super::{AttributePath, AttributePathStep as Step, Diagnostics, Report};
use crate::base::{Kind, Problem};
use rmpv::Value as V;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use tf_provider::schema::{Attribute, AttributeType};

/// A value in both forms: the tree for comparing, the typed one for resources.
#[derive(Clone, Debug)]
pub struct Decoded<T> {
    /// The value as a tree in normal form.
    pub tree: Tree,
    /// The value as the resource sees it.
    pub state: T,
}

/// Reads `bytes` as an object of `schema`: `Ok(None)` for null.
///
/// # Errors
/// `Err` when something does not fit the schema; `diags` then names every such place. `what` says
/// which value it is (`configuration`, `prior state`).
pub fn decode<T: DeserializeOwned>(
    schema: &Schema,
    what: &str,
    bytes: &[u8],
    diags: &mut Diagnostics,
) -> Result<Option<Decoded<T>>, Refused> {
    let tree = decode_tree(schema, what, bytes, diags)?;
    if tree == V::Nil { Ok(None) } else { typed(what, tree, diags).map(Some) }
}

/// A value was refused. The diagnostics say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Like [`decode`], but gives the tree only.
///
/// # Errors
/// As [`decode`].
pub fn decode_tree(
    schema: &Schema,
    what: &str,
    bytes: &[u8],
    diags: &mut Diagnostics,
) -> Result<Tree, Refused> {
    let raw = tree::read(bytes).map_err(|why| diags.problem(broken(what, &why)))?;
    normal(schema, what, raw, Missing::Refuse, diags)
}

/// Reads the JSON of a stored state. Attributes that it lacks become null, those that the schema no
/// longer has are dropped.
///
/// # Errors
/// As [`decode`].
pub fn from_json(
    schema: &Schema,
    what: &str,
    json: &serde_json::Value,
    diags: &mut Diagnostics,
) -> Result<Tree, Refused> {
    normal(schema, what, json_tree(json), Missing::Fill, diags)
}

/// Reads one side of a change in a plan's JSON: `unknown` is its `after_unknown`, true where only
/// apply can tell.
///
/// # Errors
/// As [`decode`].
pub fn from_plan(
    schema: &Schema,
    what: &str,
    json: &serde_json::Value,
    unknown: &serde_json::Value,
    diags: &mut Diagnostics,
) -> Result<Tree, Refused> {
    normal(schema, what, plan_tree(json, unknown), Missing::Fill, diags)
}

fn plan_tree(json: &serde_json::Value, unknown: &serde_json::Value) -> Tree {
    use serde_json::Value as J;
    match (json, unknown) {
        (_, J::Bool(true)) => tree::unknown(),
        // The plan's values leave out what is unknown, so names come from both sides.
        (J::Object(_) | J::Null, J::Object(more)) if !more.is_empty() => {
            let empty = serde_json::Map::new();
            let all = json.as_object().unwrap_or(&empty);
            let names: std::collections::BTreeSet<_> = all.keys().chain(more.keys()).collect();
            V::Map(
                names
                    .into_iter()
                    .map(|n| {
                        (
                            V::from(n.as_str()),
                            plan_tree(
                                all.get(n).unwrap_or(&J::Null),
                                more.get(n).unwrap_or(&J::Null),
                            ),
                        )
                    })
                    .collect(),
            )
        }
        (J::Array(all), J::Array(more)) => V::Array(
            (0..all.len().max(more.len()))
                .map(|i| plan_tree(all.get(i).unwrap_or(&J::Null), more.get(i).unwrap_or(&J::Null)))
                .collect(),
        ),
        _ => json_tree(json),
    }
}

/// Turns a tree in normal form into the typed state.
///
/// # Errors
/// The type does not fit its own schema: a bug of ours.
pub fn typed<T: DeserializeOwned>(
    what: &str,
    tree: Tree,
    diags: &mut Diagnostics,
) -> Result<Decoded<T>, Refused> {
    match rmp_serde::from_slice(&tree::write(&tree)) {
        Ok(state) => Ok(Decoded { tree, state }),
        Err(e) => {
            diags.problem(Problem::internal(format!(
                "the {what} fits the schema but not the type behind it: {e}"
            )));
            Err(Refused)
        }
    }
}

/// Turns a typed state into a tree in normal form that holds every attribute of the schema.
///
/// # Errors
/// The type does not fit its own schema: a bug of ours.
pub fn encode<T: Serialize>(
    schema: &Schema,
    what: &str,
    state: &T,
    diags: &mut Diagnostics,
) -> Result<Tree, Refused> {
    let bytes = rmp_serde::to_vec_named(state).map_err(|e| {
        diags.problem(Problem::internal(format!("the {what} cannot be written: {e}")))
    })?;
    let raw = tree::read(&bytes).map_err(|why| {
        diags.problem(Problem::internal(format!("the {what} cannot be written: {why}")))
    })?;
    let mut found = Diagnostics::default();
    let out = normal(schema, what, raw, Missing::Refuse, &mut found);
    // A state that does not fit here is not the user's doing.
    diags.errors.extend(found.errors.into_iter().map(|mut d| {
        d.detail = format!(
            "{}\nfix    this is a bug of the provider, please report it; nothing is lost",
            d.detail
        )
        .into();
        d
    }));
    out
}

impl From<()> for Refused {
    fn from((): ()) -> Self {
        Self
    }
}

fn broken(what: &str, why: &str) -> Problem {
    Problem::new(Kind::Internal, format!("cannot read the {what}"))
        .why(why.to_owned())
        .fix("the caller sent bytes that are no msgpack value; please report this")
}

#[derive(Clone, Copy, PartialEq)]
enum Missing {
    Refuse,
    Fill,
}

fn normal(
    schema: &Schema,
    what: &str,
    raw: Tree,
    missing: Missing,
    diags: &mut Diagnostics,
) -> Result<Tree, Refused> {
    let before = diags.errors.len();
    let mut walk =
        Walk { what, missing, path: AttributePath::root(), in_set: 0, hidden: false, diags };
    let out = match raw {
        V::Nil => V::Nil,
        raw => walk.object(schema.attributes(), raw),
    };
    if diags.errors.len() == before { Ok(out) } else { Err(Refused) }
}

struct Walk<'a> {
    what: &'a str,
    missing: Missing,
    path: AttributePath,
    in_set: usize,
    hidden: bool,
    diags: &'a mut Diagnostics,
}

impl Walk<'_> {
    fn object(&mut self, attributes: &HashMap<String, Attribute>, raw: Tree) -> Tree {
        let fields =
            attributes.iter().map(|(name, a)| (name, (&a.attr_type, a.sensitive))).collect();
        let order = sorted(attributes).into_iter().map(|(name, _)| name).collect();
        self.fields(order, &fields, raw)
    }

    fn fields(
        &mut self,
        order: Vec<&String>,
        fields: &HashMap<&String, (&AttributeType, bool)>,
        raw: Tree,
    ) -> Tree {
        let V::Map(entries) = raw else { return self.wrong("an object", &raw) };
        let mut given = HashMap::new();
        for (key, value) in entries {
            let Some(name) = key.as_str().map(str::to_owned) else {
                return self.wrong("an object with names", &key);
            };
            if !fields.contains_key(&name) {
                if self.missing == Missing::Refuse {
                    self.at(Step::Attribute(name.into()), |w| {
                        w.refuse("the schema has no such attribute")
                    });
                }
                continue;
            }
            given.insert(name, value);
        }
        let mut out = Vec::with_capacity(order.len());
        for name in order {
            let Some((kind, sensitive)) = fields.get(name) else { continue };
            let was = self.hidden;
            self.hidden |= *sensitive;
            let value =
                self.at(Step::Attribute(name.clone().into()), |w| match given.remove(name) {
                    Some(value) => w.value(kind, value),
                    None if w.missing == Missing::Fill => V::Nil,
                    None => {
                        w.refuse("the attribute is missing");
                        V::Nil
                    }
                });
            self.hidden = was;
            out.push((V::from(name.as_str()), value));
        }
        V::Map(out)
    }

    fn value(&mut self, kind: &AttributeType, raw: Tree) -> Tree {
        use AttributeType as T;
        match (kind, raw) {
            (_, V::Nil) => V::Nil,
            // Any extension code is an unknown value: 0 is plain, 12 carries refinements, others
            // may come.
            (_, V::Ext(..)) => tree::unknown(),
            (T::String, V::String(s)) if s.is_str() => V::String(s),
            (T::String, V::String(_)) => self.refuse("a string is needed, this is no UTF-8 text"),
            (T::String, raw) => self.wrong("a string", &raw),
            (T::Bool, V::Boolean(b)) => V::Boolean(b),
            (T::Bool, raw) => self.wrong("a bool", &raw),
            (T::Number, raw) => self.number(&raw),
            (T::List(element), V::Array(all)) => V::Array(
                (0..)
                    .zip(all)
                    .map(|(i, v)| self.at(Step::Index(i), |w| w.value(element, v)))
                    .collect(),
            ),
            (T::AttributeList(inner), V::Array(all)) => V::Array(
                (0..)
                    .zip(all)
                    .map(|(i, v)| self.at(Step::Index(i), |w| w.nested(inner, v)))
                    .collect(),
            ),
            (T::Set(element), V::Array(all)) => self.set(all, |w, v| w.value(element, v)),
            (T::AttributeSet(inner), V::Array(all)) => self.set(all, |w, v| w.nested(inner, v)),
            (T::List(_) | T::AttributeList(_), raw) => self.wrong("a list", &raw),
            (T::Set(_) | T::AttributeSet(_), raw) => self.wrong("a set", &raw),
            (T::Map(element), V::Map(all)) => self.map(all, |w, v| w.value(element, v)),
            (T::AttributeMap(inner), V::Map(all)) => self.map(all, |w, v| w.nested(inner, v)),
            (T::Map(_) | T::AttributeMap(_), raw) => self.wrong("a map", &raw),
            (T::AttributeSingle(inner), raw) => self.object(inner, raw),
            (T::Object(types), raw) => {
                let mut order: Vec<_> = types.keys().collect();
                order.sort();
                let fields = types.iter().map(|(name, kind)| (name, (kind, false))).collect();
                self.fields(order, &fields, raw)
            }
            (T::Tuple(kinds), V::Array(all)) if kinds.len() == all.len() => V::Array(
                (0..)
                    .zip(kinds.iter().zip(all))
                    .map(|(i, (k, v))| self.at(Step::Index(i), |w| w.value(k, v)))
                    .collect(),
            ),
            (T::Tuple(kinds), raw) => self.wrong(&format!("a tuple of {}", kinds.len()), &raw),
            (T::Any, raw) => raw,
        }
    }

    fn nested(&mut self, inner: &HashMap<String, Attribute>, raw: Tree) -> Tree {
        match raw {
            V::Nil => V::Nil,
            V::Ext(..) => tree::unknown(),
            raw => self.object(inner, raw),
        }
    }

    fn set(&mut self, all: Vec<Tree>, mut element: impl FnMut(&mut Self, Tree) -> Tree) -> Tree {
        // Core cannot name an element of a set: paths stop at the set itself.
        self.in_set += 1;
        let mut all: Vec<_> =
            all.into_iter().map(|v| element(self, v)).map(|v| (tree::write(&v), v)).collect();
        self.in_set -= 1;
        all.sort_by(|a, b| a.0.cmp(&b.0));
        // Two unknown elements may still become two values.
        all.dedup_by(|a, b| a.0 == b.0 && tree::wholly_known(&a.1));
        V::Array(all.into_iter().map(|(_, v)| v).collect())
    }

    fn map(
        &mut self,
        all: Vec<(Tree, Tree)>,
        mut element: impl FnMut(&mut Self, Tree) -> Tree,
    ) -> Tree {
        let mut out = Vec::with_capacity(all.len());
        for (key, value) in all {
            let Some(name) = key.as_str().map(str::to_owned) else {
                return self.wrong("a map with text as keys", &key);
            };
            let value = self.at(Step::Key(name.clone().into()), |w| element(w, value));
            out.push((name, value));
        }
        out.sort_by(|a, b| a.0.cmp(&b.0));
        V::Map(out.into_iter().map(|(k, v)| (V::from(k), v)).collect())
    }

    fn number(&mut self, raw: &Tree) -> Tree {
        /// Every whole number up to here is exact as a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let shown = |text: String| if self.hidden { "the value".to_owned() } else { text };
        let why = match raw {
            V::Integer(n) => match n.as_i64() {
                Some(n) => return V::from(n),
                None => format!("{} is larger than {}", shown(n.to_string()), i64::MAX),
            },
            V::F32(_) | V::F64(_) => {
                let n = raw.as_f64().unwrap_or(f64::NAN);
                if n.fract() == 0.0 && n.abs() <= EXACT {
                    #[allow(clippy::cast_possible_truncation)]
                    return V::from(n as i64);
                }
                if n.is_finite() && n.fract() != 0.0 {
                    format!("a whole number is needed, {} has a fraction", shown(n.to_string()))
                } else {
                    format!("{} is too large", shown(n.to_string()))
                }
            }
            // Numbers that no int or float can hold exactly come as decimal text.
            V::String(s) => match s.as_str().map(str::parse::<i64>) {
                Some(Ok(n)) => return V::from(n),
                _ => {
                    let text = s.as_str().unwrap_or_default();
                    let whole = !text.is_empty()
                        && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
                    let number = text.parse::<f64>().is_ok();
                    match (whole, number) {
                        (true, _) => format!(
                            "{} is too large: at most {} fits",
                            shown(text.to_owned()),
                            i64::MAX
                        ),
                        (false, true) if text.contains(['e', 'E']) => {
                            format!("{} is too large or has a fraction", shown(text.to_owned()))
                        }
                        (false, true) => format!(
                            "a whole number is needed, {} has a fraction",
                            shown(text.to_owned())
                        ),
                        (false, false) => "a number is needed, this is a string".to_owned(),
                    }
                }
            },
            raw => return self.wrong("a number", raw),
        };
        self.refuse(&why)
    }

    fn at<T>(&mut self, step: Step, inside: impl FnOnce(&mut Self) -> T) -> T {
        if self.in_set > 0 {
            return inside(self);
        }
        self.path.steps.push(step);
        let out = inside(self);
        self.path.steps.pop();
        out
    }

    fn wrong(&mut self, need: &str, raw: &Tree) -> Tree {
        self.refuse(&format!("{need} is needed, this is {}", tree::kind(raw)))
    }

    fn refuse(&mut self, why: &str) -> Tree {
        let place =
            if self.path.steps.is_empty() { self.what.to_owned() } else { self.path.to_string() };
        let problem = Problem::user(format!("the value of {place} cannot be used"))
            .place(format!("the {}", self.what))
            .why(why);
        self.diags.problem_at(self.path.clone(), problem);
        V::Nil
    }
}

fn json_tree(json: &serde_json::Value) -> Tree {
    use serde_json::Value as J;
    match json {
        J::Null => V::Nil,
        J::Bool(b) => V::Boolean(*b),
        J::Number(n) => n
            .as_i64()
            .map(V::from)
            .or_else(|| n.as_u64().map(V::from))
            .or_else(|| n.as_f64().map(V::F64))
            .unwrap_or_else(|| V::from(n.to_string())),
        J::String(s) => V::from(s.as_str()),
        J::Array(all) => V::Array(all.iter().map(json_tree).collect()),
        J::Object(all) => {
            V::Map(all.iter().map(|(k, v)| (V::from(k.as_str()), json_tree(v))).collect())
        }
    }
}
