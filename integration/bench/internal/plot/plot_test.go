package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/integration/bench/internal/plot"
)

func bars(log bool) plot.Bars {
	return plot.Bars{
		Title: "a < b & c", Y: plot.Axis{Label: "ns", Log: log},
		Groups: []string{"one", "two"}, Names: []string{"first", "second"},
		Values: [][]float64{{1, 1000}, {20, math.NaN()}},
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	distribution := plot.Distribution{Title: "d", X: plot.Axis{Label: "ms"}, Names: []string{"a", "none"}, Values: [][]float64{{3, 1, 2}, nil}}
	for name, svg := range map[string][]byte{"linear": bars(false).SVG(), "logarithmic": bars(true).SVG(), "distribution": distribution.SVG()} {
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s: has a coordinate that is no number:\n%s", name, svg)
		}
		if !strings.Contains(string(svg), "prefers-color-scheme:dark") {
			t.Errorf("%s: cannot be read on dark pages", name)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestBarsLeaveOutWhatIsMissing(t *testing.T) {
	svg := string(bars(true).SVG())
	if n := strings.Count(svg, "<title>"); n != 3 {
		t.Errorf("%d bars, want 3", n)
	}
	if !strings.Contains(svg, "<title>first, two: 1000</title>") {
		t.Errorf("the largest bar has no value:\n%s", svg)
	}
}
