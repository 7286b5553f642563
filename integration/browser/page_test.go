package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// page is a tab of a browser that knows nothing of other tabs.
type page struct {
	t      *testing.T
	ctx    context.Context
	origin string

	mu       sync.Mutex // guards all below
	said     []string   // errors and violations that the browser tells of
	requests []string
	refused  map[int64]bool // statuses that the test expects
}

// look says how the page is to be looked at.
type look struct {
	width, height int64
	scale         float64
	dark          bool
	language      string
}

var desktop = look{width: 1280, height: 900, scale: 1, language: "en-GB"}

// open opens the dashboard of the world.
func (w *world) open(l look) *page {
	w.t.Helper()
	p := &page{t: w.t, origin: w.url, refused: map[int64]bool{}}
	ctx, cancel := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	w.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		w.t.Fatal(err)
	}
	var end func()
	p.ctx, end = context.WithTimeout(ctx, 4*time.Minute)
	w.t.Cleanup(end)
	p.look(l)
	_, err := chromedp.Call(p.ctx, network.Enable, network.EnableParams{})
	p.must(err)
	p.do(chromedp.Navigate(w.url + "/"))
	w.t.Cleanup(p.check)
	return p
}

func (p *page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// look changes size, theme and language.
func (p *page) look(l look) {
	p.t.Helper()
	theme := "light"
	if l.dark {
		theme = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	p.must(err)
	_, err = chromedp.Call(p.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.width, Height: l.height, DeviceScaleFactor: l.scale, Mobile: l.width < 600,
	})
	p.must(err)
	_, err = chromedp.Call(p.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Shanghai"})
	p.must(err)
	_, err = chromedp.Call(p.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "mintonce browser test", AcceptLanguage: l.language})
	p.must(err)
}

func (p *page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.said = append(p.said, "exception: "+fmt.Sprint(e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		p.said = append(p.said, fmt.Sprintf("console.%s", e.Type))
	case *log.EventEntryAdded:
		p.said = append(p.said, string(e.Entry.Source)+": "+e.Entry.Text)
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.Method+" "+e.Request.URL)
	}
}

// check is the end of every test: nothing went wrong in the browser, and it
// asked nobody but the server, for nothing that holds a token.
func (p *page) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.said {
		if !p.expected(text) {
			p.t.Errorf("the browser says: %s", text)
		}
	}
	for _, request := range p.requests {
		method, address, _ := strings.Cut(request, " ")
		u, err := url.Parse(address)
		if err != nil || u.Scheme+"://"+u.Host != p.origin {
			p.t.Errorf("a request leaves the origin: %s", request)
			continue
		}
		if method == "GET" && strings.HasPrefix(u.Path, "/v1/tokens/") || strings.HasPrefix(u.Path, "/cgi-bin/") {
			p.t.Errorf("the page asks for a token: %s", request)
		}
	}
	if len(p.requests) == 0 {
		p.t.Error("no request was seen")
	}
}

// expected are refusals that the test has provoked; the browser tells of every
// answer that is one.
func (p *page) expected(text string) bool {
	for status := range p.refused {
		if strings.Contains(text, fmt.Sprintf("the server responded with a status of %d", status)) {
			return true
		}
	}
	return p.refused[0] && strings.Contains(text, "net::ERR_")
}

// expect announces refusals; 0 is no answer.
func (p *page) expect(statuses ...int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, status := range statuses {
		p.refused[status] = true
	}
}

func (p *page) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, actions...))
}

// value evaluates an expression of JavaScript.
func value[T any](p *page, expression string) T {
	p.t.Helper()
	result, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	p.must(err)
	return result
}

// await waits until an expression is true.
func (p *page) await(what, expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(25 * time.Millisecond) {
		if value[bool](p, "Boolean("+expression+")") {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s; the page says:\n%s", what, value[string](p, "document.body.innerText"))
		}
	}
}

// awaitText waits until a text is to be read at a selector.
func (p *page) awaitText(selector, part string) {
	p.t.Helper()
	p.await(fmt.Sprintf("%q at %s", part, selector), fmt.Sprintf("document.querySelector(%s)?.innerText.includes(%s)", quoted(selector), quoted(part)))
}

// typeIn types into a field.
func (p *page) typeIn(selector, text string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// mark notes that the page is this very one.
func (p *page) mark() {
	p.t.Helper()
	value[bool](p, "window.stayed = true")
}

// stays checks that the page was not loaded anew since mark.
func (p *page) stays() {
	p.t.Helper()
	if !value[bool](p, "window.stayed === true") {
		p.t.Error("the page was loaded anew")
	}
}

func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

// click presses the mouse on an element, as a person would.
func (p *page) click(selector string) {
	p.t.Helper()
	p.do(chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// press presses keys.
func (p *page) press(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// tabTo presses the tabulator until an element has the focus.
func (p *page) tabTo(selector string) {
	p.t.Helper()
	var passed []string
	for range 60 {
		p.press(kb.Tab)
		if value[bool](p, fmt.Sprintf("document.activeElement.matches(%s)", quoted(selector))) {
			return
		}
		passed = append(passed, p.focus())
	}
	p.t.Fatalf("the tabulator does not lead to %s, but to %q", selector, passed)
}

// focus describes the element that has it.
func (p *page) focus() string {
	p.t.Helper()
	return value[string](p, "(e => e.tagName + (e.id ? '#' + e.id : '') + ' ' + (e.innerText || '').slice(0, 30))(document.activeElement)")
}

// card is the selector of a token's card.
func card(name string) string { return fmt.Sprintf("article[data-token=%q]", name) }

// names are the tokens that the page shows.
func (p *page) names() []string {
	p.t.Helper()
	names := value[[]string](p, "[...document.querySelectorAll('article')].map(a => a.dataset.token)")
	slices.Sort(names)
	return names
}
