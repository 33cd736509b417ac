// Package judge drives the provider's binary with HashiCorp's own acceptance harness: each step is an apply, an empty
// plan, a refresh and an empty plan again; imports are compared with the state attribute by attribute.
//
// It is started by acceptance-tests/tests/stories/judge_plugin_testing.rs, which makes the lab hosts and says in the
// environment where they are.
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

// variable gives what the caller has to say; without it nothing can be judged.
func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run `cargo test --workspace --test stories judge_plugin_testing`", name)
	}
	return value
}

// run judges the steps; everything is destroyed at the end.
func run(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	resource.Test(t, resource.TestCase{
		ExternalProviders: map[string]resource.ExternalProvider{"ob": {Source: "oceanbase/ob"}},
		Steps:             steps,
	})
}

// config is the provider block and the package, followed by the resources with $A, $B, … put in.
func config(t *testing.T, resources string) string {
	t.Helper()
	head := `
provider "ob" {
  owner = "judge"
  ssh = {
    identities       = { lab = { user = "root", private_key_file = "$KEY" } }
    known_hosts_file = "$KNOWN"
  }
}

data "ob_package" "seekdb" {
  files = [{ path = "$WHEEL", sha256 = "$SHA256" }]
}
`
	return strings.NewReplacer(
		"$KEY", variable(t, "OB_JUDGE_KEY"), "$KNOWN", variable(t, "OB_JUDGE_KNOWN_HOSTS"),
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

// sizes are what fits on a lab host.
const sizes = `memory_limit = "2G", datafile_size = "256M", log_disk_size = "2G"`

// expect demands what the plan of a step does to resources, before it is applied.
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

// imported imports a resource and demands the same state, but for what no host can tell: `not` gives each such
// attribute its reason.
func imported(address string, not map[string]string) resource.TestStep {
	var ignore []string
	for name := range not {
		ignore = append(ignore, name)
	}
	return resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: ignore}
}

// consent is why guards of the configuration are not imported; an import always arrives protected.
const consent = "a guard that lives in the configuration only; an import starts protected"

// planned is why the account of the last planned change is not imported.
const planned = "tells of the last planned change, of which an import knows nothing"

// hostName is why a host's name is not imported.
const hostName = "what people call a host is known to the configuration only; an import takes its address"

// idOf imports by another resource's id.
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
