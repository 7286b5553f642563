package browser_test

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// check.js finds what is in somebody's way on the page.
//
//go:embed check.js
var checks string

// examine checks the page as it is now.
func (p *page) examine(when string) {
	p.t.Helper()
	for _, problem := range value[[]string](p, checks) {
		p.t.Errorf("%s: %s", when, problem)
	}
}

// TestAccessible: names, roles, structure, contrast and size, in every state of
// the page, both themes, both languages, and on a phone.
func TestAccessible(t *testing.T) {
	w := newWorld(t, "shop", "market", "outlet")
	w.past("shop", "web-1", 38*time.Minute)
	w.past("market", "web-1", 116*time.Minute)
	w.provider.AllowOnly(appID("market"), "10.0.0.1")
	w.provider.SetSecret(appID("outlet"), "another-secret-0123456789abcdef0")
	w.client("oncall", "oncall-key", `"*"`, "read, operate")
	w.serve("refresher-1", "127.0.0.1:0")
	for _, l := range []look{
		{1280, 900, 1, false, "en-GB"}, {1280, 900, 1, true, "en-GB"}, {1280, 900, 1, false, "zh-CN"},
		{360, 740, 1, false, "en-GB"}, {360, 740, 1, true, "zh-CN"},
	} {
		t.Run(fmt.Sprintf("%d dark=%t %s", l.width, l.dark, l.language), func(t *testing.T) {
			inner := *w
			inner.t = t
			p := inner.open(l)
			p.expect(401)
			p.await("the question for a key", "!document.querySelector('#gate').hidden")
			p.examine("gate")
			p.typeIn("#key", "oncall-key"+kb.Enter)
			p.await("the tokens", "document.querySelectorAll('article').length === 3 && document.querySelectorAll('[data-instance]').length === 1")
			p.await("the trouble", "document.querySelector('article[data-token=market] .troubles li') && document.querySelector('article[data-level=critical]')")
			p.examine("board")
			p.click(card("market") + " [aria-expanded]")
			p.await("the details", "document.querySelector('article[data-token=market] .more .event')")
			p.examine("details")
			p.click(card("shop") + " .rotate")
			p.await("the dialog", "document.querySelector('#rotate').open")
			p.examine("dialog")
		})
	}
}

// TestScreenReader: what the browser tells assistive technology, not what the
// page's source says.
func TestScreenReader(t *testing.T) {
	w := newWorld(t, "shop")
	w.past("shop", "web-1", 30*time.Minute)
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText(card("shop"), "generation 1")
	p.awaitText("#link", "Live")
	told := func() string {
		tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		p.must(err)
		var text strings.Builder
		for _, node := range tree.Nodes {
			if node.Ignored || node.Role == nil || node.Name == nil {
				continue
			}
			fmt.Fprintf(&text, "%s %s", node.Role.Value, strings.ReplaceAll(string(node.Name.Value), `\u2026`, "…"))
			for _, property := range node.Properties {
				if property.Value != nil {
					fmt.Fprintf(&text, " %s=%s", property.Name, property.Value.Value)
				}
			}
			text.WriteString("\n")
		}
		return text.String()
	}
	text := told()
	for _, want := range []string{
		`"banner"`, `"main"`, `"heading" "mintonce"`, `"heading" "Tokens"`, `"heading" "shop"`, `"article" "shop"`,
		`"image" "Life of the token: minted at `, `"log" "Events"`, `live="polite"`, `"searchbox" "Search by name"`,
		`"button" "Rotate…"`, `hasPopup="dialog"`, `"button" "Details"`, `expanded=false`, `pressed="true"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("a screen reader is not told %s of:\n%s", want, text)
		}
	}
	p.click(card("shop") + " .rotate")
	p.awaitText("#rotate", "generation 2")
	if text := told(); !strings.Contains(text, `"dialog" "Rotate shop?"`) || !strings.Contains(text, "modal=true") {
		t.Errorf("a screen reader is not told of the dialog:\n%s", text)
	}
}
