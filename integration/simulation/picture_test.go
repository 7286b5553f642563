package simulation_test

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"
)

// picture draws a day for people, as SVG: what the provider issued and for how
// long it accepted it, what each machine served in the same colour, what its
// callers met, and the faults above it all.
type picture struct {
	bytes.Buffer
	world   *world
	from    time.Time
	span    time.Duration
	gutter  float64 // for the names of the rows
	tokens  []*issued
	strikes []strike // the faults that are in it
}

// The measures of a picture.
const (
	pictureWidth = 1000.0
	lane         = 18.0
	head         = 66.0 // for title and legend
)

// colours can be told apart by people who cannot tell red from green (after Okabe and
// Ito, and Tol). A token has the colour of its number.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#f0e442", "#d55e00", "#332288", "#999933"}

// kinds are the rows for faults, with what their names begin with.
var kinds = []struct {
	name     string
	prefixes []string
}{
	{"processes", []string{"ambush", "crash", "pause", "rolling"}},
	{"wires, hints", []string{"wire", "hints", "impatient"}},
	{"store", []string{"flush", "failover", "store"}},
	{"provider", []string{"provider"}},
	{"people", []string{"stranger", "operator", "false", "late"}},
}

const pictureStyle = `<style>
.page{fill:#fff}.text{fill:#24292f;font:12px system-ui,sans-serif}.small{font-size:11px}.title{font-size:15px;font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#d0d7de}.down{stroke:#8b949e;stroke-dasharray:2 3}
.fault{fill:#8250df;fill-opacity:.65}.burst{fill:#8250df;fill-opacity:.07}.mint{fill:#24292f}.stranger{fill:#d1242f}.rejected{fill:#d1242f}.failed{stroke:#d1242f;stroke-width:2}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}.text,.mint{fill:#e6edf3}.grid{stroke:#30363d}}
</style>
`

// picture draws the span of the day that begins at from.
func (w *world) picture(from, span time.Duration) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &picture{world: w, from: w.began.Add(from), span: span, gutter: 112, tokens: w.provider.all()}
	for _, s := range w.schedule {
		if p.shows(s.at, s.at.Add(s.lasts)) {
			p.strikes = append(p.strikes, s)
		}
	}
	rows := len(kinds)
	if p.close() {
		rows, p.gutter = len(p.strikes), 190
	}
	top := head
	faults := top
	top += lane*float64(rows) + 14
	provider := top
	top += 3*lane + 14
	machines := top
	top += lane*float64(len(w.machines)) + 10
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="a simulated day">`+"\n%s", pictureWidth, top+24, pictureWidth, top+24, pictureStyle)
	fmt.Fprintf(p, `<rect class="page" width="%g" height="%g" rx="6"/>`+"\n", pictureWidth, top+24)
	title := fmt.Sprintf("A simulated day: seed %d, %d machines, %d mints, %d calls, %d tokens rejected, %d calls without a token",
		w.seed, len(w.machines), len(p.tokens), w.calls.Load(), w.rejected.Load(), w.failed.Load())
	if span < w.day {
		title = fmt.Sprintf("%.0f minutes of seed %d, from %s on", span.Minutes(), w.seed, p.from.UTC().Format("15:04"))
	}
	p.text(14, 26, "text title", title)
	p.legend(48)
	p.hours(head-6, top)
	p.faults(faults, top)
	p.provider(provider)
	p.machines(machines)
	p.WriteString("</svg>\n")
	return p.Bytes()
}

func (p *picture) x(at time.Time) float64 {
	share := min(1, max(0, float64(at.Sub(p.from))/float64(p.span)))
	return p.gutter + share*(pictureWidth-p.gutter-14)
}

// shows reports whether any of the span is in the picture.
func (p *picture) shows(from, to time.Time) bool {
	return !to.Before(p.from) && from.Before(p.from.Add(p.span))
}

func (p *picture) text(x, y float64, class, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(text))
}

// bar draws a span of time, with a text to be read by pointing at it.
func (p *picture) bar(from, to time.Time, y, height float64, style, tip string) {
	if !p.shows(from, to) {
		return
	}
	x := p.x(from)
	fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s><title>%s</title></rect>`+"\n", x, y, max(1.5, p.x(to)-x), height, style, html.EscapeString(tip))
}

func (p *picture) hours(top, bottom float64) {
	for h := time.Duration(0); h <= p.span; h += p.span / 12 {
		x := p.x(p.from.Add(h))
		fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="grid"/>`+"\n", x, top, x, bottom)
		p.text(x, bottom+16, "text small middle", p.from.Add(h).UTC().Format("15:04"))
	}
}

// close reports whether the span is so short that each fault gets a row of its
// own, rather than each kind.
func (p *picture) close() bool { return p.span <= time.Hour }

func (p *picture) faults(top, bottom float64) {
	if !p.close() {
		for i, kind := range kinds {
			p.text(p.gutter-8, top+lane*float64(i)+13, "text small end", kind.name)
		}
	}
	for row, s := range p.strikes {
		if p.close() {
			p.text(p.gutter-8, top+lane*float64(row)+13, "text small end", s.name)
		} else {
			row = s.kind()
		}
		p.bar(s.at, s.at.Add(s.lasts), top+lane*float64(row)+3, lane-6, `class="fault"`, s.String())
		p.bar(s.at, s.at.Add(s.lasts), head-6, bottom-head+6, `class="burst"`, s.String())
	}
}

// kind is the row of its kind.
func (s strike) kind() int {
	for i, kind := range kinds {
		if slices.ContainsFunc(kind.prefixes, func(prefix string) bool { return strings.HasPrefix(s.name, prefix) }) {
			return i
		}
	}
	return 0
}

// provider draws each token from its mint until it was refused, those that
// overlap below each other, with a mark for the mint.
func (p *picture) provider(top float64) {
	p.text(p.gutter-8, top+lane+13, "text small end", "tokens accepted")
	for i, t := range p.tokens {
		y := top + lane*float64(i%3)
		who := "a stranger"
		if !t.foreign {
			who = t.call.process.name
		}
		end := p.world.provider.refused(t.value)
		p.bar(t.at, end, y+3, lane-6, fmt.Sprintf(`fill="%s"`, colours[i%len(colours)]),
			fmt.Sprintf("%s, minted by %s at %s, accepted for %s", t.value, who, t.at.UTC().Format(time.TimeOnly), end.Sub(t.at).Round(time.Second)))
		class := "mint"
		if t.foreign {
			class = "stranger"
		}
		if p.shows(t.at, t.at) {
			p.triangle(p.x(t.at), y+1, class)
		}
	}
}

func (p *picture) triangle(x, y float64, class string) {
	fmt.Fprintf(p, `<path d="M%.1f %.1fh7l-3.5 6z" class="%s"/>`+"\n", x-3.5, y-2, class)
}

// machines draws what each of them served when.
func (p *picture) machines(top float64) {
	end := p.from.Add(p.span)
	row := func(machine int) float64 { return top + lane*float64(machine) }
	for i := range p.world.machines {
		p.text(p.gutter-8, row(i)+13, "text small end", fmt.Sprintf("m%d served", i))
		fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="down"/>`+"\n", p.gutter, row(i)+lane/2, pictureWidth-14, row(i)+lane/2)
	}
	for i, s := range p.world.spells {
		until := end
		for _, next := range p.world.spells[i+1:] {
			if next.machine == s.machine {
				until = next.at
				break
			}
		}
		if n, ok := p.world.provider.index[s.token]; ok && s.at.Before(end) {
			p.bar(s.at, until, row(s.machine)+3, lane-6, fmt.Sprintf(`fill="%s"`, colours[n%len(colours)]),
				fmt.Sprintf("%s from %s to %s", s.token, s.at.UTC().Format(time.TimeOnly), until.UTC().Format(time.TimeOnly)))
		}
	}
	for _, m := range p.world.marks {
		if !p.shows(m.at, m.at) {
			continue
		}
		x, y := p.x(m.at), row(m.machine)+lane/2
		if m.failed {
			fmt.Fprintf(p, `<path d="M%.1f %.1fl6 6m0 -6l-6 6" class="failed"/>`+"\n", x-3, y-3)
		} else {
			fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="2.5" class="rejected"/>`+"\n", x, y)
		}
	}
}

func (p *picture) legend(y float64) {
	x := 14.0
	entry := func(draw func(x float64), text string) {
		draw(x)
		p.text(x+16, y, "text small", text)
		x += 24 + 6.1*float64(len(text))
	}
	entry(func(x float64) {
		for i, colour := range colours[:3] {
			fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="4" height="10" fill="%s"/>`+"\n", x+4*float64(i), y-9, colour)
		}
	}, "a token, in the colour in which machines serve it")
	entry(func(x float64) { p.triangle(x+6, y-5, "mint") }, "a mint")
	entry(func(x float64) { p.triangle(x+6, y-5, "stranger") }, "a stranger's")
	entry(func(x float64) {
		fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="12" height="10" class="fault"/>`+"\n", x, y-9)
	}, "a fault")
	entry(func(x float64) {
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="2.5" class="rejected"/>`+"\n", x+6, y-4)
	}, "a call rejected, then sent again")
	entry(func(x float64) {
		fmt.Fprintf(p, `<path d="M%.1f %.1fl6 6m0 -6l-6 6" class="failed"/>`+"\n", x+3, y-7)
	}, "no token")
	entry(func(x float64) {
		fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="down"/>`+"\n", x, y-4, x+12, y-4)
	}, "down, or not called yet")
}
