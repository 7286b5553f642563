package browser_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestScreenshots makes the pictures of the documentation, and writes them with
// -update: a fleet with some trouble, as those on call may find it.
func TestScreenshots(t *testing.T) {
	w := newWorld(t, "shop", "market", "mini-program", "support")
	w.past("shop", "refresher-2", 38*time.Minute)
	w.past("market", "web-1", 116*time.Minute)
	w.past("mini-program", "refresher-1", 71*time.Minute)
	w.provider.AllowOnly(appID("market"), "10.0.0.1")
	w.serve("refresher-1", "127.0.0.1:0")
	second := w.start("refresher-2", "serve")
	defer second.kill()
	w.reader("web-1", "shop")
	w.do("operator", "rotate", "support")

	pictures := []struct {
		name  string
		look  look
		ready string
		show  func(p *page)
	}{
		{"light", look{1360, 930, 1.5, false, "en-GB"}, "1 of 4 tokens needs attention", nil},
		{"dark", look{1360, 930, 1.5, true, "en-GB"}, "1 of 4 tokens needs attention", nil},
		{"chinese", look{1360, 930, 1.5, false, "zh-CN"}, "需要关注", nil},
		{"phone", look{390, 844, 2, false, "en-GB"}, "1 of 4 tokens needs attention", nil},
		{"rotate", look{1360, 930, 1.5, true, "en-GB"}, "1 of 4 tokens needs attention", func(p *page) {
			p.click(card("shop") + " .rotate")
			p.awaitText("#rotate", "Rotate shop?")
		}},
	}
	for _, picture := range pictures {
		t.Run(picture.name, func(t *testing.T) {
			inner := *w
			inner.t = t
			p := inner.open(picture.look)
			p.awaitText("#verdict-text", picture.ready)
			p.await("the processes", "document.querySelectorAll('[data-instance]').length === 3")
			p.await("the events", "document.querySelectorAll('#events-list .event').length >= 6")
			p.await("the feed", "document.querySelector('#link').dataset.state === 'live'")
			if picture.show != nil {
				picture.show(p)
			}
			data, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			if err != nil || len(data) < 10_000 {
				t.Fatalf("%d bytes, %v", len(data), err)
			}
			if *update {
				if err := os.WriteFile(filepath.Join("../../docs/dashboard", picture.name+".png"), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
