package wechattest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"
)

// order is the body of every POST to /sandbox/.
type order struct {
	Kind     Kind     `json:"kind"`
	On       Endpoint `json:"on"`
	App      string   `json:"app"`
	Times    int      `json:"times"`
	Code     int      `json:"code"`
	Body     string   `json:"body"`
	Delay    string   `json:"delay"`
	Endpoint Endpoint `json:"endpoint"`
}

// controls are what there is below /sandbox/.
const controls = `no such control. There are:

GET  /sandbox/stats    what the provider saw
GET  /sandbox/log      each request of late
POST /sandbox/fault    {"kind":"errcode","code":-1,"times":3}
POST /sandbox/mint     {"app":"APPID","endpoint":"stable"} or "classic"
POST /sandbox/revoke   {"app":"APPID"}
POST /sandbox/clear    no faults any more
POST /sandbox/release  lets go of what is held back
`

// serveControl serves /sandbox/, as the package comment describes it.
func (f *Fake) serveControl(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /sandbox/stats":
		jsonAnswer(f.Stats()).write(w)
	case "GET /sandbox/log":
		jsonAnswer(f.Log()).write(w)
	case "POST /sandbox/clear":
		f.Clear()
		jsonAnswer(struct{}{}).write(w)
	case "POST /sandbox/release":
		f.Release()
		jsonAnswer(struct{}{}).write(w)
	case "POST /sandbox/fault", "POST /sandbox/mint", "POST /sandbox/revoke":
		f.serveOrder(w, r)
	default:
		http.Error(w, controls, http.StatusNotFound)
	}
}

func (f *Fake) serveOrder(w http.ResponseWriter, r *http.Request) {
	var o order
	decoder := json.NewDecoder(io.LimitReader(r.Body, bodyLimit))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		http.Error(w, "the body is not what is expected: "+err.Error(), http.StatusBadRequest)
		return
	}
	if problem := f.obey(r.URL.Path, o); problem != "" {
		http.Error(w, problem, http.StatusBadRequest)
		return
	}
	jsonAnswer(struct{}{}).write(w)
}

// obey carries out an order, or says what is wrong with it.
func (f *Fake) obey(path string, o order) string {
	if known := f.accounts[o.App] != nil; !known && (o.App != "" || path != "/sandbox/fault") {
		return "app is not one of this sandbox"
	}
	switch path {
	case "/sandbox/fault":
		return f.obeyFault(o)
	case "/sandbox/mint":
		switch o.Endpoint { // the ends of the paths, as people call them
		case "token":
			o.Endpoint = Classic
		case "stable_token":
			o.Endpoint = Stable
		}
		if o.Endpoint != Classic && o.Endpoint != Stable && o.Endpoint != WeCom {
			return "endpoint must be classic, stable or wecom"
		}
		f.MintElsewhere(o.App, o.Endpoint)
	case "/sandbox/revoke":
		f.Revoke(o.App)
	}
	return ""
}

func (f *Fake) obeyFault(o order) string {
	if !slices.Contains(kinds, o.Kind) {
		return "kind is not one of the kinds of faults"
	}
	if o.On != "" && !slices.Contains([]Endpoint{Classic, Stable, WeCom, Mints, Call, Tickets, Everything}, o.On) {
		return "on must be classic, stable, wecom, mint, call, ticket or all"
	}
	if o.Times < -1 {
		return "times must be -1 or more"
	}
	if o.Kind == Status && o.Code != 0 && (o.Code < 200 || o.Code > 599) {
		return "code must be an HTTP status from 200 to 599"
	}
	var delay time.Duration
	if o.Delay != "" {
		var err error
		if delay, err = time.ParseDuration(o.Delay); err != nil || delay < 0 {
			return `delay must be a duration such as "250ms"`
		}
	}
	f.Inject(Fault{Kind: o.Kind, On: o.On, App: o.App, Times: o.Times, Code: o.Code, Body: o.Body, Delay: delay})
	return ""
}
