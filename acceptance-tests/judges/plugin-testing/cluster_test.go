package judge

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
)

// solo is one initialised server with a root password and one more parameter.
func solo(cursors string) string {
	return cluster("solo", "$A", fmt.Sprintf(`
  parameters               = { %s, open_cursors = %q }
  root_password_wo         = "it's \"root\" \\ `+"`x`"+`"
  root_password_wo_version = 1
`, sizes, cursors))
}

// objects are a database, a user and a grant; `privileges` is what the grant gives.
func objects(privileges string) string {
	return fmt.Sprintf(`
resource "ob_database" "shop" {
  name                = "shop"
  instance            = ob_cluster.solo.instance
  deletion_protection = false
  allow_data_loss     = ["shop"]
}

resource "ob_user" "app" {
  name                = "app"
  host                = "10.%%"
  password_wo         = "s'e\"c"
  password_wo_version = 1
  instance            = ob_cluster.solo.instance
}

resource "ob_grant" "app" {
  user       = ob_user.app.name
  host       = ob_user.app.host
  database   = ob_database.shop.name
  privileges = [%s]
  instance   = ob_cluster.solo.instance
}
`, privileges)
}

// access is another database, user and grant as a set; `users` adds to the users.
func access(users string) string {
	return fmt.Sprintf(`
resource "ob_access" "all" {
  instance            = ob_cluster.solo.instance
  deletion_protection = false
  allow_data_loss     = ["stock"]
  databases           = { stock = {} }
  users               = { clerk = { password_wo = "x", password_wo_version = 1 }%s }
  grants              = { clerk = { user = "clerk", database = "stock", privileges = ["SELECT"] } }
}
`, users)
}

func TestClusterAndItsObjects(t *testing.T) {
	run(t,
		resource.TestStep{
			Config: config(t, solo("70")+objects(`"SELECT", "INSERT"`)+access("")),
			ConfigPlanChecks: expect(map[string]plancheck.ResourceActionType{
				"ob_cluster.solo":  plancheck.ResourceActionCreate,
				"ob_database.shop": plancheck.ResourceActionCreate,
				"ob_user.app":      plancheck.ResourceActionCreate,
				"ob_grant.app":     plancheck.ResourceActionCreate,
				"ob_access.all":    plancheck.ResourceActionCreate,
			}),
			Check: resource.ComposeAggregateTestCheckFunc(
				resource.TestCheckResourceAttr("ob_cluster.solo", "status", "running"),
				resource.TestCheckResourceAttr("ob_cluster.solo", "instance.sql_port", "2881"),
				resource.TestMatchResourceAttr("ob_cluster.solo", "build", regexp.MustCompile("seekdb")),
				resource.TestCheckNoResourceAttr("ob_cluster.solo", "root_password_wo"),
				resource.TestCheckNoResourceAttr("ob_user.app", "password_wo"),
				resource.TestCheckResourceAttr("data.ob_package.seekdb", "name", "seekdb"),
			),
		},
		imported("ob_cluster.solo", map[string]string{
			"deletion_protection": consent, "allow_data_loss": consent, "runbook": planned, "impact": planned,
			"root_password_wo_version": "a counter of the configuration",
			"parameters":               "an import manages what its configuration names; until then all others are unmanaged",
			"unmanaged":                "as parameters",
			"package":                  "a host has the files and their digests, not the archive they came from",
			"instance.host.name":       hostName, "zones.z1.servers.s1.host.name": hostName,
		}),
		imported("ob_database.shop", map[string]string{"deletion_protection": consent, "allow_data_loss": consent, "runbook": planned, "impact": planned, "instance.host.name": hostName}),
		imported("ob_user.app", map[string]string{"password_wo_version": "a counter of the configuration", "runbook": planned, "impact": planned, "instance.host.name": hostName}),
		imported("ob_grant.app", map[string]string{"runbook": planned, "impact": planned, "instance.host.name": hostName}),
		// An import of the set takes in everything that the server has, with the objects above. So there
		// is no state to compare it with.
		resource.TestStep{ResourceName: "ob_access.all", ImportState: true},
		resource.TestStep{
			Config: config(t, solo("80")+objects(`"SELECT", "UPDATE"`)+access(", guest = { locked = true }")),
			ConfigPlanChecks: expect(map[string]plancheck.ResourceActionType{
				"ob_cluster.solo":  plancheck.ResourceActionUpdate,
				"ob_database.shop": plancheck.ResourceActionNoop,
				"ob_user.app":      plancheck.ResourceActionNoop,
				"ob_grant.app":     plancheck.ResourceActionUpdate,
				"ob_access.all":    plancheck.ResourceActionUpdate,
			}),
			Check: resource.ComposeAggregateTestCheckFunc(
				resource.TestCheckResourceAttr("ob_cluster.solo", "parameters.open_cursors", "80"),
				resource.TestCheckResourceAttr("ob_access.all", "users.guest.locked", "true"),
				resource.TestCheckTypeSetElemAttr("ob_grant.app", "privileges.*", "UPDATE"),
			),
		},
		// The plan refuses a bad value.
		resource.TestStep{
			Config:      config(t, solo("80")+objects(`"NOT A PRIVILEGE"`)+access("")),
			ExpectError: regexp.MustCompile("(?i)privilege"),
			PlanOnly:    true,
		},
	)
}
