package browser_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestWhatItShows: in a moment, whether all is well and until when; and who
// minted, when, why, what is next.
func TestWhatItShows(t *testing.T) {
	w := newWorld(t, "shop", "market")
	w.past("shop", "web-1", 30*time.Minute)
	w.serve("refresher-1", "127.0.0.1:0")
	w.reader("web-2", "shop")
	p := w.open(desktop)
	p.awaitText("#verdict-text", "All is well: 2 tokens")
	p.awaitText("#link", "Live")
	p.awaitText("#server", "refresher-1")
	p.awaitText("[data-figure=safe]", "shop ends first")
	p.awaitText("[data-figure=usable]", "2 of 2")
	for _, part := range []string{"valid", "1 h 2", "left", "generation 1", "web-1", "due", "refresh at", "1 of 1,800 mints"} {
		p.awaitText(card("shop"), part)
	}
	p.awaitText(card("market"), "by refresher-1 (no token yet)")
	p.await("the bar", "document.querySelector('article[data-token=shop] .track').getAttribute('aria-label').includes('Life of the token')")
	if share := value[float64](p, "parseFloat(document.querySelector('article[data-token=shop] .passed').style.width)"); share < 24 || share > 40 {
		t.Errorf("after a quarter of the life, %.1f %% of the bar have passed", share)
	}
	p.awaitText("[data-instance=refresher-1]", "mints")
	p.awaitText("[data-instance=refresher-1]", "2 tokens")
	p.awaitText("[data-instance=refresher-1]", "this one")
	p.awaitText("[data-instance=web-2]", "reads only")
	p.awaitText("#events-list", "new token")
	p.click(card("shop") + " [aria-expanded]")
	p.awaitText(card("shop")+" .more", "Fingerprint")
	p.awaitText(card("shop")+" .more", "new token")
	if title := value[string](p, "document.title"); title != "✓ All is well – mintonce" {
		t.Errorf("the title is %q", title)
	}
}

// TestTrouble: what is not well comes first, with its reason and what happens
// next.
func TestTrouble(t *testing.T) {
	w := newWorld(t, "a-shop", "b-market", "c-outlet")
	w.past("b-market", "web-1", 116*time.Minute) // four are left
	w.provider.AllowOnly(appID("b-market"), "10.0.0.1")
	w.provider.SetSecret(appID("c-outlet"), "another-secret-0123456789abcdef0")
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText("#verdict-text", "1 of 3 tokens is in trouble")
	p.awaitText(card("b-market"), "The last mint")
	p.awaitText(card("b-market"), "40164")
	p.awaitText(card("b-market"), "needs a person at the provider's console")
	p.awaitText(card("c-outlet"), "No valid token")
	order := value[string](p, "[...document.querySelectorAll('article')].map(a => a.dataset.token + ' ' + a.dataset.level).join(', ')")
	if order != "c-outlet critical, b-market warning, a-shop ok" {
		t.Errorf("the order is %s", order)
	}
	p.click("#filter-trouble")
	p.await("those in trouble only", "document.querySelectorAll('article').length === 2")
	p.typeIn("#search", "MARKET")
	p.await("the one that was searched for", "document.querySelectorAll('article').length === 1")
	p.typeIn("#search", "x")
	p.awaitText("#tokens-none", "No name contains this text")
}

// TestEventAppears: what another process does appears without a reload, in the
// feed and at the token.
func TestEventAppears(t *testing.T) {
	w := newWorld(t, "shop")
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText(card("shop"), "generation 1")
	p.awaitText("#link", "Live")
	p.await("the history", "document.querySelectorAll('#events-list [data-event=minted]').length === 1")
	p.mark()
	w.do("operator", "rotate", "shop")
	p.await("the event", "document.querySelectorAll('#events-list [data-event=minted]').length === 2")
	p.awaitText("#events-list", "by operator")
	p.awaitText("#events-list", "rotation asked for")
	p.awaitText(card("shop"), "generation 2")
	time.Sleep(500 * time.Millisecond) // for a second copy, if there were one
	if n := value[int](p, "document.querySelectorAll('#events-list [data-event=minted]').length"); n != 2 {
		t.Errorf("%d mints are shown, want 2", n)
	}
	p.stays()
}

// TestRotate: it takes a dialog that says what will happen, and one mint.
func TestRotate(t *testing.T) {
	w := newWorld(t, "shop")
	w.past("shop", "web-1", 30*time.Minute)
	w.serve("refresher-1", "127.0.0.1:0")
	mints := func() int64 { return int64(w.provider.App(appID("shop")).MintRequests) }
	before := mints()
	p := w.open(desktop)
	p.awaitText(card("shop"), "generation 1")
	p.awaitText("#link", "Live")
	p.mark()

	p.click(card("shop") + " .rotate")
	for _, part := range []string{"Rotate shop?", "generation 2", "stays valid for 5 min"} {
		p.awaitText("#rotate", part)
	}
	p.press(kb.Escape)
	p.await("the end of the dialog", "!document.querySelector('#rotate').open")
	p.click(card("shop") + " .rotate")
	p.click("#rotate-cancel")
	p.await("the end of the dialog", "!document.querySelector('#rotate').open")
	if n := mints() - before; n != 0 {
		t.Fatalf("%d mints though it was cancelled", n)
	}

	p.click(card("shop") + " .rotate")
	p.click("#rotate-go")
	p.awaitText("#rotate-outcome", "Done: generation 2")
	if n := mints() - before; n != 1 {
		t.Errorf("%d mints, want 1", n)
	}
	p.click("#rotate-cancel")
	p.awaitText(card("shop"), "generation 2")
	p.awaitText(card("shop"), "(rotation)")
	p.awaitText("#events-list", "new token")

	// Too soon after: the reason is shown, and nothing is lost.
	p.expect(429)
	p.click(card("shop") + " .rotate")
	p.click("#rotate-go")
	p.awaitText("#rotate-outcome", "Not rotated: too soon after the last rotation")
	p.press(kb.Escape)
	p.stays()
}

// TestRights: without a key, or with one that may not read, there is nothing to
// see; with rights, what they are for.
func TestRights(t *testing.T) {
	w := newWorld(t, "shop", "market")
	w.client("php", "php-key", "shop", "read, report")
	w.client("oncall", "oncall-key", `"*"`, "read, operate")
	w.client("blind", "blind-key", "shop", "operate")
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.expect(401, 403)
	p.await("the question for a key", "!document.querySelector('#gate').hidden")
	nothing := func(when string) {
		t.Helper()
		html := value[string](p, "document.documentElement.outerHTML")
		for _, part := range []string{"shop", "market", "generation", "data-token"} {
			if strings.Contains(html, part) {
				t.Errorf("%s, the page holds %q", when, part)
			}
		}
	}
	nothing("without a key")
	enter := func(key string) {
		t.Helper()
		p.typeIn("#key", key+kb.Enter)
	}
	enter("wrong-key")
	p.awaitText("#gate-error", "No client of this server has this key")
	nothing("with a wrong key")
	enter("blind-key")
	p.awaitText("#gate-error", "may not read")
	nothing("with a key that may not read")

	enter("php-key")
	p.awaitText(card("shop"), "generation 1")
	if names := p.names(); !slices.Equal(names, []string{"shop"}) {
		t.Errorf("the client of one token sees %v", names)
	}
	if text := value[string](p, "document.documentElement.outerHTML"); strings.Contains(text, "market") || strings.Contains(text, "php-key") {
		t.Error("the page holds another's token, or the key")
	}
	if value[bool](p, "document.querySelector('.rotate') !== null") {
		t.Error("a client that may not operate is offered to rotate")
	}
	p.awaitText("#link", "Live")
	p.mark()
	p.click("#leave")
	p.await("the question for a key", "!document.querySelector('#gate').hidden")
	nothing("after the key was forgotten")
	if value[int](p, "sessionStorage.length + localStorage.length") != 0 {
		t.Error("something is kept")
	}

	enter("oncall-key")
	p.awaitText(card("market"), "generation 1")
	p.awaitText(card("shop")+" .rotate", "Rotate")
	p.click(card("market") + " .rotate")
	p.click("#rotate-go")
	p.awaitText("#rotate-outcome", "Done: generation 2")
	p.awaitText(card("market"), "generation 2")
	p.stays()
	p.do(chromedp.Reload())
	p.awaitText(card("market"), "generation 2") // the key stays for the tab
}

// TestNoToken: the page holds no token, wherever it may keep it.
func TestNoToken(t *testing.T) {
	w := newWorld(t, "shop")
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText(card("shop"), "generation 1")
	p.click(card("shop") + " [aria-expanded]")
	p.awaitText(card("shop")+" .more", "Fingerprint")
	tokens := []string{strings.TrimSpace(w.do("onlooker", "token", "shop"))}
	w.do("operator", "rotate", "shop")
	tokens = append(tokens, strings.TrimSpace(w.do("onlooker", "token", "shop")))
	p.awaitText(card("shop"), "generation 2")
	held := value[string](p, "document.documentElement.outerHTML + JSON.stringify(sessionStorage) + JSON.stringify(localStorage) + document.cookie")
	for _, token := range tokens {
		if len(token) < 20 || strings.Contains(held, token) || strings.Contains(held, token[:20]) {
			t.Error("the page holds a token, or there was none")
		}
	}
	if strings.Contains(held, secret) {
		t.Error("the page holds the secret")
	}
}

// TestServerAway: old figures are not shown as if they were of now, and the
// page is right again once the server is back.
func TestServerAway(t *testing.T) {
	w := newWorld(t, "shop")
	server := w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText("#verdict-text", "All is well")
	p.awaitText("#link", "Live")
	p.expect(0)
	p.mark()
	server.kill()
	p.awaitText("#verdict-text", "not known")
	p.awaitText("#link", "No live events")
	w.do("operator", "rotate", "shop")
	w.serve("refresher-2", strings.TrimPrefix(w.url, "http://"))
	p.awaitText("#verdict-text", "All is well")
	p.awaitText("#link", "Live")
	p.awaitText(card("shop"), "generation 2")
	p.awaitText("#events-list", "by operator")
	p.stays()
}

// TestKeyboard: all that a mouse can do.
func TestKeyboard(t *testing.T) {
	w := newWorld(t, "shop")
	w.past("shop", "web-1", 30*time.Minute)
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText(card("shop"), "generation 1")
	p.press(kb.Tab)
	if focus := p.focus(); !strings.Contains(focus, "Skip to the content") {
		t.Errorf("the first stop is %s", focus)
	}
	p.press(kb.Enter)
	p.tabTo("#filter-all")
	p.tabTo("#search")
	p.tabTo(card("shop") + " [aria-expanded]")
	if style := value[string](p, "getComputedStyle(document.activeElement).outlineStyle"); style == "none" {
		t.Error("the focus cannot be seen")
	}
	p.press(kb.Enter)
	p.awaitText(card("shop")+" .more", "Fingerprint")
	p.press(kb.Enter)
	p.await("the end of the details", "document.querySelector('article .more').hidden")
	p.tabTo(card("shop") + " .rotate")
	p.press(kb.Enter)
	p.await("the dialog", "document.querySelector('#rotate').open")
	if focus := p.focus(); !strings.Contains(focus, "Cancel") {
		t.Errorf("in the dialog, the focus is at %s", focus)
	}
	p.press(kb.Escape)
	p.await("the end of the dialog", "!document.querySelector('#rotate').open && document.activeElement.matches('.rotate')")
	p.press(kb.Enter)
	p.tabTo("#rotate-go")
	p.press(" ")
	p.awaitText("#rotate-outcome", "Done: generation 2")
	p.press(kb.Enter)
	p.await("the end of the dialog", "!document.querySelector('#rotate').open")
	p.awaitText(card("shop"), "generation 2")
	p.await("the focus where it was", "document.activeElement.matches('.rotate')")
}

// TestVeryMany: pages, a search, and those in trouble though they are far down.
func TestVeryMany(t *testing.T) {
	var names []string
	for i := range 120 {
		names = append(names, "m"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	w := newWorld(t, names...)
	w.provider.AllowOnly(appID("mel"), "10.0.0.1")
	w.serve("refresher-1", "127.0.0.1:0")
	p := w.open(desktop)
	p.awaitText("#verdict-text", "1 of 120 tokens is in trouble")
	p.await("the one in trouble", "[...document.querySelectorAll('article')].map(a => a.dataset.token).join() === 'mel'")
	p.click("#filter-all")
	p.await("the first page", "document.querySelectorAll('article').length === 50")
	p.awaitText("#pages", "50 of 120")
	p.click("#page-next")
	p.await("the second page", "document.querySelector('article[data-token=mby]')")
	p.click("#page-next")
	p.await("the last page", "document.querySelectorAll('article').length === 20")
	p.click("#page-first")
	p.await("the first page", "document.querySelector('article[data-token=maa]')")
	p.typeIn("#search", "mba")
	p.await("the one that was searched for", "[...document.querySelectorAll('article')].map(a => a.dataset.token).join() === 'mba'")
}

// TestChinese: the browser's language, and the switch.
func TestChinese(t *testing.T) {
	w := newWorld(t, "shop")
	w.serve("refresher-1", "127.0.0.1:0")
	chinese := desktop
	chinese.language = "zh-CN"
	p := w.open(chinese)
	p.awaitText("#verdict-text", "一切正常")
	p.awaitText(card("shop"), "第 1 代")
	if lang := value[string](p, "document.documentElement.lang"); lang != "zh-Hans" {
		t.Errorf("the page says that it is %q", lang)
	}
	p.awaitText("#events-list", "获取了新令牌")
	p.click("[data-language=en]")
	p.awaitText("#verdict-text", "All is well")
	p.awaitText(card("shop"), "generation 1")
	p.awaitText("#events-list", "new token")
	p.do(chromedp.Reload())
	p.awaitText("#verdict-text", "All is well") // as was chosen
}
