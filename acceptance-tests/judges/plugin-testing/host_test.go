package judge

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
)

const preparedHost = `
resource "ob_host" "a" {
  name    = "a"
  address = "$A"
  region  = "shanghai"
  labels  = { tier = "gold" }
  prepare = {
    user        = { name = "judge" }
    directories = { "/srv/judge" = { mode = "0750" } }
    limits      = {}
  }
}

data "ob_host" "a" {
  endpoint = ob_host.a.endpoint
}
`

const changedHost = `
resource "ob_host" "a" {
  name    = "a"
  address = "$A"
  region  = "beijing"
  prepare = {
    user        = { name = "judge" }
    directories = { "/srv/judge" = { mode = "0700" } }
    limits      = { nofile = "100000" }
  }
}

data "ob_host" "a" {
  endpoint = ob_host.a.endpoint
}
`

func TestHost(t *testing.T) {
	run(t,
		resource.TestStep{
			Config:           configAs(t, "root", preparedHost),
			ConfigPlanChecks: expect(map[string]plancheck.ResourceActionType{"ob_host.a": plancheck.ResourceActionCreate}),
			Check: resource.ComposeAggregateTestCheckFunc(
				resource.TestCheckResourceAttr("ob_host.a", "status", "ready"),
				resource.TestCheckResourceAttr("ob_host.a", "endpoint.port", "22"),
				resource.TestCheckResourceAttrPair("ob_host.a", "cores", "data.ob_host.a", "cores"),
				resource.TestCheckResourceAttrSet("data.ob_host.a", "memory_available_bytes"),
			),
		},
		imported("ob_host.a", map[string]string{
			"region":  "known to the configuration only",
			"labels":  "known to the configuration only",
			"runbook": planned,
			"impact":  planned,
		}),
		resource.TestStep{
			Config:           configAs(t, "root", changedHost),
			ConfigPlanChecks: expect(map[string]plancheck.ResourceActionType{"ob_host.a": plancheck.ResourceActionUpdate}),
			Check:            resource.TestCheckResourceAttr("ob_host.a", "prepare.directories./srv/judge.mode", "0700"),
		},
	)
}
