// Package judge drives the provider's binary with HashiCorp's own acceptance harness. Each step is
// an apply, an empty plan, a refresh, and an empty plan again. Imports are compared with the state
// attribute by attribute.
//
// acceptance-tests/tests/stories/judge_plugin_testing.rs starts it. That test makes the lab hosts
// and passes their addresses in environment variables.
package judge

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// variable returns an environment variable of the caller; a missing one ends the test.
func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run `cargo test --workspace --test stories judge_plugin_testing`", name)
	}
	return value
}

// run runs the steps as one test; at the end everything is destroyed.
func run(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	resource.Test(t, resource.TestCase{
		ExternalProviders: map[string]resource.ExternalProvider{"ob": {Source: "oceanbase/ob"}},
		Steps:             steps,
	})
}

// config is the provider block and the package, followed by the resources with $A, $B, … filled in.
func config(t *testing.T, resources string) string {
	t.Helper()
	return configAs(t, variable(t, "OB_JUDGE_USER"), resources)
}

// configAs is config for another login user.
func configAs(t *testing.T, user, resources string) string {
	t.Helper()
	head := `
provider "ob" {
  owner = "judge"
  ssh = {
    identities       = { lab = { user = "$USER", private_key_file = "$KEY" } }
    known_hosts_file = "$KNOWN"
  }
}

data "ob_package" "seekdb" {
  files = [{ path = "$WHEEL", sha256 = "$SHA256" }]
}
`
	return strings.NewReplacer(
		"$USER", user, "$KEY", variable(t, "OB_JUDGE_KEY"), "$KNOWN", variable(t, "OB_JUDGE_KNOWN_HOSTS"),
		"$WHEEL", variable(t, "OB_JUDGE_WHEEL"), "$SHA256", variable(t, "OB_JUDGE_WHEEL_SHA256"),
		"$A", variable(t, "OB_JUDGE_HOST_A"), "$B", variable(t, "OB_JUDGE_HOST_B"),
	).Replace(head + resources)
}

// cluster is one small seekdb; `more` adds attributes.
func cluster(name, address, more string) string {
	return fmt.Sprintf(`
resource "ob_host" %[1]q {
  name    = %[1]q
  address = %[2]q
}

resource "ob_cluster" %[1]q {
  name    = %[1]q
  engine  = "seekdb"
  package = data.ob_package.seekdb.package
  zones   = { z1 = { servers = { s1 = { host = ob_host.%[1]s.endpoint, base_dir = "/data/%[1]s" } } } }

  deletion_protection = false
  allow_data_loss     = [%[1]q, "%[1]s/aside"]
  %[3]s
}
`, name, address, more)
}

// sizes are parameters with which a server fits on a lab host.
const sizes = `memory_limit = "2G", datafile_size = "256M", log_disk_size = "2G"`

// expect demands, before a step is applied, what its plan does to the resources.
func expect(actions map[string]plancheck.ResourceActionType) resource.ConfigPlanChecks {
	var checks []plancheck.PlanCheck
	for address, action := range actions {
		checks = append(checks, plancheck.ExpectResourceAction(address, action))
	}
	return resource.ConfigPlanChecks{
		PreApply:            checks,
		PostApplyPreRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}, PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
	}
}

// imported imports a resource and demands the state that an apply gives, except for what no host
// can tell: `not` gives the reason for each such attribute.
func imported(address string, not map[string]string) resource.TestStep {
	var ignore []string
	for name := range not {
		ignore = append(ignore, name)
	}
	return resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: ignore}
}

// consent is the reason why guards of the configuration are not compared; an import always arrives
// protected.
const consent = "a guard that lives in the configuration only; an import starts protected"

// planned is the reason why the description of the last planned change is not compared.
const planned = "tells of the last planned change, of which an import knows nothing"

// hostName is the reason why a host's name is not compared.
const hostName = "what people call a host is known to the configuration only; an import takes its address"

// idOf imports by the id of another resource.
func idOf(step resource.TestStep, address string) resource.TestStep {
	step.ImportStateIdFunc = func(s *terraform.State) (string, error) {
		found, ok := s.RootModule().Resources[address]
		if !ok {
			return "", fmt.Errorf("%s is not in the state", address)
		}
		return found.Primary.ID, nil
	}
	return step
}
