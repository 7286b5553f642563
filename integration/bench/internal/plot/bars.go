package plot

import (
	"fmt"
	"math"
)

// Bars are groups of bars side by side, one bar per series.
type Bars struct {
	Title  string
	Y      Axis
	Groups []string    // below the bars
	Names  []string    // of the series
	Values [][]float64 // by series, then group; NaN: there is none
}

// SVG draws the bars, each with its value above it.
func (b Bars) SVG() []byte {
	c := newCanvas(b.Title)
	c.legend(b.Names)
	least, most := math.Inf(1), math.Inf(-1)
	for _, series := range b.Values {
		for _, v := range series {
			if !math.IsNaN(v) {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	s := newScale(b.Y, least, most)
	c.vertical(b.Y, s)
	slot := inner / float64(len(b.Groups))
	bar := slot * 0.8 / float64(len(b.Values))
	for g, group := range b.Groups {
		start := left + slot*(float64(g)+0.1)
		for i, series := range b.Values {
			v := series[g]
			if math.IsNaN(v) {
				continue
			}
			// A bar of the lowest value is still to be seen.
			high := max(2, tall*s.share(v))
			x, y := start+bar*float64(i), top+tall-high
			fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %s</title></rect>`+"\n",
				x, y, bar*0.92, high, hue(i), escape(b.Names[i]), escape(group), value(v))
			if bar >= 24 {
				c.text(x+bar*0.46, y-4, "middle", "text", value(v))
			}
		}
		c.text(start+slot*0.4, top+tall+20, "middle", "text", group)
	}
	c.line(left, top+tall, left+inner, top+tall, "axis")
	return c.end()
}
