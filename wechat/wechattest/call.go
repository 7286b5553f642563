package wechattest

import (
	"io"
	"net/http"
)

// pixel starts as every PNG does. It stands for the images of WeChat.
var pixel = []byte("\x89PNG\r\n\x1a\n sandbox image")

// serveCall answers everything that needs an access token. A path that is not
// known to the fake is answered with an echo of the request.
func (f *Fake) serveCall(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("access_token")
	appID := f.owner(token)
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit))
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off
	}
	at := Call
	if r.URL.Path == ticketPath {
		at = Tickets
	}
	fault := f.take(at, appID)
	f.play(fault, w, r, appID, at, func() answer { return f.call(r, token, body, fault.expiresIn()) })
}

func (f *Fake) owner(token string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := f.grants[token]; g != nil {
		return g.account.id
	}
	return ""
}

// call checks the token, and processes the call. expiresIn, if not nil, replaces
// the number in an answer with a ticket.
func (f *Fake) call(r *http.Request, token string, body []byte, expiresIn *string) answer {
	if r.URL.Path == ticketPath {
		return f.ticket(token, r.URL.Query().Get("type"), clientIP(r), expiresIn)
	}
	event := f.admit(token, Call)
	f.note(event)
	switch {
	case event.Code != 0 && r.URL.Path == "/wxa/getwxacodeunlimit":
		reply := refusal(event.Code, clientIP(r))
		reply.contentType = "text/plain" // where an image is expected, errors come like this
		return reply
	case event.Code != 0:
		return refusal(event.Code, clientIP(r))
	}
	switch r.URL.Path {
	case "/cgi-bin/get_api_domain_ip", "/cgi-bin/getcallbackip":
		return jsonAnswer(map[string][]string{"ip_list": {"127.0.0.1"}})
	case "/wxa/getwxacodeunlimit":
		if r.ContentLength < 0 {
			return answer{status: http.StatusPreconditionFailed}
		}
		return answer{status: http.StatusOK, contentType: "image/png", body: pixel}
	}
	q := r.URL.Query()
	q.Del("access_token")
	return jsonAnswer(map[string]any{
		"errcode": 0, "errmsg": "ok", "method": r.Method, "path": r.URL.Path, "query": q.Encode(),
		"content_length": r.ContentLength, "body": string(body),
	})
}

// admit judges the token of a call.
func (f *Fake) admit(token string, at Endpoint) Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	event := Event{At: now, Endpoint: at, Outcome: Accepted, Fingerprint: fingerprint(token)}
	g := f.grants[token]
	switch {
	case token == "":
		event.Code = 41001
	case g == nil:
		event.Code = 40014
	default:
		event.Code = g.errcode(now)
		event.App = g.account.id
	}
	if event.Code != 0 {
		event.Outcome = Rejected
	}
	if g == nil {
		f.unknown[event.Code]++
		return event
	}
	g.account.stats.count(event)
	return event
}
