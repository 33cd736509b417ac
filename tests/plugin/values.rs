//! Values and requests as core sends them, and answers as tests compare them.
use ob::protocol::pb::tf;
use rmpv::Value as V;
use serde_json::{Value as J, json};

/// JSON as msgpack; `"?"` is unknown, `"?12"` a refined unknown.
pub fn tree(json: &J) -> V {
    match json {
        J::Null => V::Nil,
        J::Bool(b) => V::from(*b),
        J::Number(n) => n.as_i64().map(V::from).unwrap_or_else(|| V::F64(n.as_f64().unwrap())),
        J::String(s) if s == "?" => V::Ext(0, vec![0]),
        J::String(s) if s == "?12" => V::Ext(12, vec![0x81, 1, 0xc2]),
        J::String(s) => V::from(s.as_str()),
        J::Array(a) => V::Array(a.iter().map(tree).collect()),
        J::Object(o) => V::Map(o.iter().map(|(k, v)| (V::from(k.as_str()), tree(v))).collect()),
    }
}

pub fn value(json: &J) -> Option<tf::DynamicValue> {
    let mut msgpack = Vec::new();
    rmpv::encode::write_value(&mut msgpack, &tree(json)).unwrap();
    Some(tf::DynamicValue { msgpack, json: Vec::new() })
}

pub fn json_of(value: Option<&tf::DynamicValue>) -> J {
    fn back(v: &V) -> J {
        match v {
            V::Nil => J::Null,
            V::Boolean(b) => (*b).into(),
            V::Integer(n) => n.as_i64().into(),
            // Numbers come as decimal text (protocol::convert says why); no text in these tests is
            // a number.
            V::String(s) => {
                s.as_str().unwrap().parse::<i64>().map_or_else(|_| s.as_str().into(), J::from)
            }
            V::Array(a) => a.iter().map(back).collect(),
            V::Map(m) => J::Object(
                m.iter().map(|(k, v)| (k.as_str().unwrap().to_owned(), back(v))).collect(),
            ),
            V::Ext(..) => "?".into(),
            other => panic!("{other:?}"),
        }
    }
    back(&rmpv::decode::read_value(&mut &value.unwrap().msgpack[..]).unwrap())
}

/// A whole ob_thing; what `changes` leaves out is null.
pub fn thing(changes: J) -> J {
    let mut all = json!({"name": null, "size": null, "kind": null, "tags": null, "zones": null, "login": null, "secret_wo": null, "secret_wo_version": null, "secret_length": null, "status": null});
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    all
}

/// A whole ob_thing in which everything is unknown that a create does not know yet.
pub fn planned(changes: J) -> J {
    let mut all = json!({"size": "?", "secret_length": "?", "status": "?"});
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    thing(all)
}

/// A whole ob_thing that runs.
pub fn running(name: &str) -> J {
    thing(json!({"name": name, "size": 1, "status": "running"}))
}

pub const NEW: tf::ClientCapabilities = tf::ClientCapabilities {
    deferral_allowed: false,
    write_only_attributes_allowed: true,
    store_planned_private: false,
    computed_blocks_allowed: false,
};

/// The request that creates a thing of this name.
pub fn create(name: &str) -> tf::apply_resource_change::Request {
    apply(&J::Null, &planned(json!({"name": name})), &thing(json!({"name": name})))
}

pub fn apply(prior: &J, planned: &J, config: &J) -> tf::apply_resource_change::Request {
    tf::apply_resource_change::Request {
        type_name: "ob_thing".into(),
        prior_state: value(prior),
        planned_state: value(planned),
        config: value(config),
        planned_private: b"p".to_vec(),
        ..Default::default()
    }
}

pub fn plan(prior: &J, proposed: &J, config: &J) -> tf::plan_resource_change::Request {
    tf::plan_resource_change::Request {
        type_name: "ob_thing".into(),
        prior_state: value(prior),
        proposed_new_state: value(proposed),
        config: value(config),
        prior_private: b"p".to_vec(),
        client_capabilities: Some(NEW),
        ..Default::default()
    }
}

pub fn validate_request(config: &J) -> tf::validate_resource_config::Request {
    tf::validate_resource_config::Request {
        type_name: "ob_thing".into(),
        config: value(config),
        client_capabilities: Some(NEW),
    }
}

pub fn read_request(state: &J) -> tf::read_resource::Request {
    tf::read_resource::Request {
        type_name: "ob_thing".into(),
        current_state: value(state),
        private: b"p".to_vec(),
        ..Default::default()
    }
}

pub fn show_path(path: &tf::AttributePath) -> String {
    use tf::attribute_path::step::Selector as S;
    path.steps
        .iter()
        .map(|s| match s.selector.as_ref().unwrap() {
            S::AttributeName(n) => format!(".{n}"),
            S::ElementKeyString(k) => format!("[{k}]"),
            S::ElementKeyInt(i) => format!("[{i}]"),
        })
        .collect()
}

/// `error .path: summary` per diagnostic.
pub fn said(diagnostics: &[tf::Diagnostic]) -> Vec<String> {
    let one = |d: &tf::Diagnostic| {
        format!(
            "{} {}: {}",
            if d.severity == 1 { "error" } else { "warning" },
            d.attribute.as_ref().map(show_path).unwrap_or_default(),
            d.summary
        )
    };
    diagnostics.iter().map(one).collect()
}
