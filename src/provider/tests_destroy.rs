//! What a destroy refuses that no plan has shown, for every type that can be protected.
use super::document::sample;
use super::tests::nowhere;
use crate::protocol::convert;
use crate::protocol::pb::tf;
use rmpv::Value as V;

#[tokio::test]
async fn every_type_that_can_be_protected_refuses_a_destroy_that_no_plan_has_shown() {
    let registry = super::registry(nowhere());
    let mut types = Vec::new();
    for (name, resource) in &registry.resources {
        let schema = resource.schema();
        if !schema.attributes().contains_key("deletion_protection") {
            continue;
        }
        // In a sample every boolean is true.
        let prior = Some(convert::value(&sample(schema, None)));
        let nothing = Some(convert::value(&V::Nil));
        let answer = resource
            .apply(tf::apply_resource_change::Request {
                type_name: (*name).to_owned(),
                prior_state: prior.clone(),
                planned_state: nothing.clone(),
                config: nothing,
                ..Default::default()
            })
            .await;
        assert_eq!(answer.new_state, prior, "{name}: nothing is lost");
        let said = |d: &tf::Diagnostic| {
            d.severity == 1
                && d.summary.contains("protected from destroy")
                && d.detail.contains("deletion_protection is on")
                && d.detail.contains("-replace, taint, replace_triggered_by")
        };
        assert!(answer.diagnostics.iter().any(said), "{name}: {:?}", answer.diagnostics);
        types.push(*name);
    }
    assert_eq!(types, ["ob_access", "ob_cluster", "ob_database", "ob_standby"]);
}
