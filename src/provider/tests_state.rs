//! What every type says of a stored state in which nothing is set.
use super::tests::{configure, nowhere};
use crate::protocol::convert;
use crate::protocol::pb::tf;
use rmpv::Value as V;

#[tokio::test]
async fn every_type_names_a_state_that_says_nothing_as_damaged() {
    let registry = super::registry(nowhere());
    registry.shared.configure(configure("{}", &[]).session.unwrap());
    let mut types = Vec::new();
    for (name, resource) in &registry.resources {
        let mut names: Vec<_> = resource.schema().attributes().keys().collect();
        names.sort();
        let empty = names.into_iter().map(|k| (V::from(k.as_str()), V::Nil)).collect();
        let empty = Some(convert::value(&V::Map(empty)));
        let answer = resource
            .read(tf::read_resource::Request {
                type_name: (*name).to_owned(),
                current_state: empty.clone(),
                ..Default::default()
            })
            .await;
        assert_eq!(answer.new_state, empty, "{name}: nothing is lost");
        let said = |d: &tf::Diagnostic| {
            d.severity == 1
                && d.summary.contains("cannot be used")
                && d.detail.contains("damaged")
                && d.detail.contains("terraform state rm")
        };
        assert!(answer.diagnostics.iter().any(said), "{name}: {:?}", answer.diagnostics);
        types.push(*name);
    }
    let all = ["ob_access", "ob_cluster", "ob_database", "ob_grant", "ob_host", "ob_standby"];
    assert_eq!(types[..6], all);
    assert_eq!(types[6..], ["ob_user"]);
}
