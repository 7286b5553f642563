// Package plot draws the few kinds of plots that the benchmarks need, as SVG
// that can be read on light and on dark pages.
package plot

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The size of a plot, and the frame of its drawing area.
const (
	width, height            = 760.0, 420.0
	left, right, top, bottom = 74.0, 20.0, 100.0, 56.0
	inner, tall              = width - left - right, height - top - bottom
)

// hues are the colours of the series, which can be told apart by people who
// cannot tell red from green, on white and on black (Okabe and Ito).
var hues = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"}

// style follows the reader's preference. The background is part of the plot,
// because a page may be light where the preference is dark.
const style = `<style>
.page{fill:#fff}.text{fill:#24292f;font:12px system-ui,sans-serif}.title{font-size:15px;font-weight:600}.grid{stroke:#d0d7de;stroke-width:1}.axis{stroke:#57606a;stroke-width:1}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}.text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#8b949e}}
</style>
`

// Axis is a scale of values.
type Axis struct {
	Label string
	Log   bool // by powers of ten; values must be positive
}

type canvas struct{ bytes.Buffer }

func newCanvas(title string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(title))
	c.WriteString(style)
	fmt.Fprintf(c, `<rect class="page" width="%g" height="%g" rx="6"/>`+"\n", width, height)
	c.text(left, 26, "start", "text title", title)
	return c
}

func (c *canvas) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(text))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// legend names the series below the title, in up to two rows.
func (c *canvas) legend(names []string) {
	x, y := left, 50.0
	for i, name := range names {
		long := 34 + 6.6*float64(len([]rune(name)))
		if x+long > width {
			x, y = left, y+18
		}
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="11" height="11" rx="2" fill="%s"/>`+"\n", x, y-10, hue(i))
		c.text(x+16, y, "start", "text", name)
		x += long
	}
}

func (c *canvas) end() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

func hue(i int) string { return hues[i%len(hues)] }

// scale maps values to the share of an axis, from 0 to 1.
type scale struct {
	low, high float64
	log       bool
	ticks     []float64
}

// newScale covers the values, from zero, or from a power of ten.
func newScale(a Axis, least, most float64) scale {
	if a.Log {
		s := scale{low: math.Floor(math.Log10(least)), high: math.Ceil(math.Log10(most)), log: true}
		if s.high <= s.low {
			s.high = s.low + 1
		}
		for e := s.low; e <= s.high; e++ {
			s.ticks = append(s.ticks, math.Pow(10, e))
		}
		return s
	}
	step := niceStep(most / 5)
	s := scale{high: step * math.Ceil(most/step)}
	for v := 0.0; v <= s.high+step/2; v += step {
		s.ticks = append(s.ticks, v)
	}
	return s
}

// niceStep is the next 1, 2 or 5 times a power of ten.
func niceStep(at float64) float64 {
	if at <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(at)))
	for _, factor := range []float64{1, 2, 5} {
		if at <= factor*power {
			return factor * power
		}
	}
	return 10 * power
}

func (s scale) share(v float64) float64 {
	if s.log {
		v = math.Log10(v)
	}
	return min(1, max(0, (v-s.low)/(s.high-s.low)))
}

// value writes a figure briefly.
func value(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

// vertical draws the y axis with its grid.
func (c *canvas) vertical(a Axis, s scale) {
	for _, tick := range s.ticks {
		y := top + tall*(1-s.share(tick))
		c.line(left, y, left+inner, y, "grid")
		c.text(left-8, y+4, "end", "text", value(tick))
	}
	c.line(left, top, left, top+tall, "axis")
	c.text(left, top-8, "start", "text", a.Label)
}
