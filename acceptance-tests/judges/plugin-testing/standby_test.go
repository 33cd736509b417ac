package judge

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
)

// pair is a primary and its standby.
func pair(primary string) string {
	return cluster("sh", "$A", fmt.Sprintf("parameters = { %s }", sizes)) +
		cluster("bj", "$B", fmt.Sprintf("parameters = { %s }\n  initialize = false", sizes)) +
		fmt.Sprintf(`
resource "ob_standby" "pair" {
  name                = "pair"
  members             = { sh = { instance = ob_cluster.sh.instance }, bj = { instance = ob_cluster.bj.instance } }
  primary             = %q
  deletion_protection = false
}

resource "ob_database" "shop" {
  name                = "shop"
  group               = { for name, m in ob_standby.pair.members : name => m.instance }
  deletion_protection = false
  allow_data_loss     = ["shop"]
}
`, primary)
}

func TestStandby(t *testing.T) {
	run(t,
		resource.TestStep{
			Config: config(t, pair("sh")),
			ConfigPlanChecks: expect(map[string]plancheck.ResourceActionType{
				"ob_standby.pair": plancheck.ResourceActionCreate,
			}),
			Check: resource.ComposeAggregateTestCheckFunc(
				resource.TestCheckResourceAttr("ob_standby.pair", "current_primary", "sh"),
				resource.TestCheckResourceAttr("ob_standby.pair", "member_status.bj", "standby"),
			),
		},
		idOf(imported("ob_standby.pair", map[string]string{"deletion_protection": consent, "runbook": planned, "impact": planned}), "ob_cluster.sh"),
		resource.TestStep{
			Config: config(t, pair("bj")),
			ConfigPlanChecks: expect(map[string]plancheck.ResourceActionType{
				"ob_cluster.sh":    plancheck.ResourceActionNoop,
				"ob_cluster.bj":    plancheck.ResourceActionNoop,
				"ob_standby.pair":  plancheck.ResourceActionUpdate,
				"ob_database.shop": plancheck.ResourceActionNoop,
			}),
			Check: resource.ComposeAggregateTestCheckFunc(
				resource.TestCheckResourceAttr("ob_standby.pair", "current_primary", "bj"),
				resource.TestCheckResourceAttr("ob_standby.pair", "member_status.sh", "standby"),
			),
		},
	)
}
