package plot

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Distribution shows which share of the values is at most so large.
type Distribution struct {
	Title  string
	X      Axis
	Names  []string    // of the series
	Values [][]float64 // by series
}

// most points of a curve, which is no wider than that on a screen.
const points = 300

// SVG draws one curve per series.
func (d Distribution) SVG() []byte {
	c := newCanvas(d.Title)
	c.legend(d.Names)
	least, most := math.Inf(1), math.Inf(-1)
	for _, series := range d.Values {
		if len(series) > 0 {
			least, most = min(least, slices.Min(series)), max(most, slices.Max(series))
		}
	}
	c.vertical(Axis{Label: "share of the replicas"}, scale{high: 1, ticks: []float64{0, 0.25, 0.5, 0.75, 1}})
	s := newScale(d.X, least, most)
	for _, tick := range s.ticks {
		x := left + inner*s.share(tick)
		c.line(x, top, x, top+tall, "grid")
		c.text(x, top+tall+18, "middle", "text", value(tick))
	}
	c.text(left+inner, top+tall+40, "end", "text", d.X.Label)
	for i, series := range d.Values {
		if len(series) > 0 {
			fmt.Fprintf(c, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"><title>%s</title></polyline>`+"\n", hue(i), curve(series, s), escape(d.Names[i]))
		}
	}
	c.line(left, top+tall, left+inner, top+tall, "axis")
	return c.end()
}

func curve(values []float64, s scale) string {
	sorted := slices.Sorted(slices.Values(values))
	var b strings.Builder
	fmt.Fprintf(&b, "%.1f,%.1f", left+inner*s.share(sorted[0]), top+tall)
	n := min(points, len(sorted))
	for i := 1; i <= n; i++ {
		share := float64(i) / float64(n)
		v := sorted[int(math.Ceil(share*float64(len(sorted))))-1]
		fmt.Fprintf(&b, " %.1f,%.1f", left+inner*s.share(v), top+tall*(1-share))
	}
	return b.String()
}

func escape(text string) string { return html.EscapeString(text) }
