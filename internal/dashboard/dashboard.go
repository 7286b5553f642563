// Package dashboard is the page that "mintonce serve" shows at /: how the tokens
// are, who keeps them fresh, and what happens to them while it happens.
//
// It is plain HTML, CSS and JavaScript, embedded as it is, and asks nobody but
// the server that it came from: no build step, no font or script of others. The
// page holds no secret. All that it shows comes from the HTTP API, with the key
// that somebody types in, which it keeps for as long as the tab is open, and
// with the rights of that key. No answer that it asks for holds a token.
//
//	main.js     what is looked at, and when it is asked for
//	api.js      requests with the key
//	stream.js   the live feed, over fetch: an EventSource sends no key
//	board.js    the verdict, and the processes that are alive
//	tokens.js   the list of tokens; card.js is one of them, life.js its bar
//	events.js   the list of events
//	rotate.js   the dialog before a rotation
//	words.js    texts, times and durations in the language of the reader
//	en.json, zh.json
package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

//go:embed assets
var embedded embed.FS

// Policy is the Content-Security-Policy of the page: nothing inline, nothing of
// others, and nobody may put the page into a frame.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes are set by hand, because those of the machine may differ.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
}

// Folder is where the parts of the page are.
const Folder = "/dashboard/"

// Serve answers a GET of / or of a part of the page. It returns false if there
// is no such part.
func Serve(w http.ResponseWriter, r *http.Request) bool {
	name := path.Base(r.URL.Path)
	if r.URL.Path == "/" {
		name = "index.html"
	}
	content, err := fs.ReadFile(embedded, "assets/"+name)
	if err != nil || r.URL.Path != "/" && (r.URL.Path != Folder+name || name == "index.html") {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Content-Security-Policy", Policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	_, _ = w.Write(content) // a browser that has left is not our problem
	return true
}
