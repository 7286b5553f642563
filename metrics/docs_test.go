package metrics_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// described is a metric as Describe tells it.
type described struct{ name, help, labels string }

var descPattern = regexp.MustCompile(`^Desc{fqName: "(.*)", help: "(.*?)", (?:unit: ".*", )?constLabels: {}, variableLabels: {(.*)}}$`)

// exported is every metric that the code exports, by name.
func exported(t *testing.T) map[string]described {
	t.Helper()
	found := make(map[string]described)
	descs := make(chan *prometheus.Desc, 1000)
	metrics.New(metrics.Config{}).Describe(descs)
	close(descs)
	for desc := range descs {
		parts := descPattern.FindStringSubmatch(desc.String())
		if parts == nil {
			t.Fatalf("not understood: %s", desc)
		}
		found[parts[1]] = described{parts[1], parts[2], strings.ReplaceAll(parts[3], ",", ", ")}
	}
	return found
}

// kindOf is the metric's kind, which follows from its name.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case slices.Contains([]string{"mintonce_mint_seconds", "mintonce_store_seconds", "mintonce_http_seconds"}, name):
		return "histogram"
	default:
		return "gauge"
	}
}

// TestEveryMetricIsDocumented: docs/metrics.md is the list of them, in the words
// of the code.
func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	all := exported(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", m.name, kindOf(m.name), m.labels, m.help))
	}
	var have []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `mintonce_") {
			have = append(have, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("docs/metrics.md must list:\n%s", strings.Join(want, "\n"))
	}
}

// TestAlertsAndDashboardUseWhatThereIs: an alert on a metric that was renamed
// never fires, and nobody notices.
func TestAlertsAndDashboardUseWhatThereIs(t *testing.T) {
	all := exported(t)
	used := regexp.MustCompile(`mintonce_[a-z_]+`)
	for _, file := range []string{"alerts.yml", "alerts_test.yml", "grafana.json"} {
		text, err := os.ReadFile("../docs/monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := used.FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s uses %d metrics only", file, len(names))
		}
		for _, name := range names {
			_, ok := all[name]
			bucket, isBucket := strings.CutSuffix(name, "_bucket")
			if _, histogram := all[bucket]; !ok && !(isBucket && histogram && kindOf(bucket) == "histogram") {
				t.Errorf("%s uses %s, which is not exported", file, name)
			}
		}
	}
}

// queries are those of the dashboard.
func queries(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/monitoring/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, panel := range dashboard.Panels {
		if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q lacks a title, a description or a query", panel.Title)
		}
		for _, target := range panel.Targets {
			found = append(found, target.Expr)
		}
	}
	return found
}

// TestTheDashboardShowsEverything: a metric that is worth exporting is worth a
// look.
func TestTheDashboardShowsEverything(t *testing.T) {
	all := strings.Join(queries(t), "\n")
	for name := range exported(t) {
		if !regexp.MustCompile(`\b` + name + `(_bucket)?\b`).MatchString(all) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// TestAlertsFire runs the rules through the cases of alerts_test.yml, and the
// queries of the dashboard through the parser, with promtool of Prometheus.
func TestAlertsFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("MINTONCE_REQUIRE_PROMTOOL") != "" {
			t.Fatal("promtool is required: install Debian's package prometheus")
		}
		t.Skip("promtool is not installed (Debian's package prometheus)")
	}
	dashboard := filepath.Join(t.TempDir(), "dashboard.json") // its queries as rules; JSON is YAML
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for i, query := range queries(t) {
		rules = append(rules, rule{fmt.Sprint("query_", i), strings.ReplaceAll(query, "$token", "shop|.*")})
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err == nil {
		err = os.WriteFile(dashboard, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml", dashboard}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../docs/monitoring"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
