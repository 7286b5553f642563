package wechatapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

// code is an error code of WeChat's with the beginning of its text, as SDKs
// know it, and what mintonce adds for people.
//
// The codes are from
//
//   - https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken
//   - https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken
//   - https://developers.weixin.qq.com/doc/store/API/basics/commErrCode.html
type code struct {
	number int
	text   string
	hint   string
}

var (
	busy         = code{-1, "system error", ""}
	invalidToken = code{40001, "invalid credential, access_token is invalid or not latest", "it is not the current token of an account of this mintonce: get it from /cgi-bin/token or /cgi-bin/stable_token of the same server"}
	badGrant     = code{40002, "invalid grant_type", "it must be client_credential, in the singular"}
	invalidAppID = code{40013, "invalid appid", "this client may have no token of this appid: see tokens and clients in the config of mintonce"}
	invalidURL   = code{40066, "invalid url", "this server answers GET /cgi-bin/token, POST /cgi-bin/stable_token and GET /cgi-bin/ticket/getticket: send all other calls to WeChat"}
	badType      = code{40097, "invalid args", "type must be jsapi or wx_card"}
	wrongSecret  = code{40125, "invalid appsecret", "send the key of a client as the secret; mintonce client makes one"}
	noToken      = code{41001, "access_token missing", ""}
	noAppID      = code{41002, "appid missing", ""}
	noSecret     = code{41004, "appsecret missing", "send the key of a client in the parameter secret"}
	needsGET     = code{43001, "require GET method", ""}
	needsPOST    = code{43002, "require POST method", ""}
	emptyBody    = code{44002, "empty post data", ""}
	spent        = code{45009, "reach max api daily quota limit", ""}
	tooQuick     = code{45011, "api minute-quota reach limit  mustslower  retry next minute", "this client sends more requests than its rate in the config of mintonce allows: keep the token until expires_in has passed"}
	badBody      = code{47001, "data format error", ""}
	unauthorized = code{48001, "api unauthorized", ""}
)

// refusal is an error for a client.
type refusal struct {
	code
	retryAfter time.Duration
}

func refuse(c code) *refusal { return &refusal{code: c} }

// because replaces the hint.
func (c code) because(hint string, args ...any) *refusal {
	c.hint = fmt.Sprintf(hint, args...)
	return &refusal{code: c}
}

// answer is the body of a refusal.
func (f *refusal) answer(rid string) any {
	text := f.text
	if f.hint != "" {
		text += " hint: [mintonce: " + f.hint + "]"
	}
	return struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}{f.number, text + " rid: " + rid}
}

// refuse answers with an error, in WeChat's form.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	rid := newRID()
	if f.retryAfter > 0 { // beside what WeChat sends; no SDK minds
		w.Header().Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
	}
	h.Log.Debug("refused", "path", r.Pattern, "errcode", f.number, "rid", rid)
	write(w, f.answer(rid))
}

// newRID looks like one of WeChat's, 6141b79a-0b2ba8d8-6b8ca0ff. It begins with
// the time.
func newRID() string {
	return fmt.Sprintf("%08x-%08x-%08x", uint32(time.Now().Unix()), rand.Uint32(), rand.Uint32())
}

// denied is the refusal that a Denial makes.
func denied(d *Denial) *refusal {
	c := wrongSecret
	switch d.Reason {
	case NoKey:
		c = noSecret
	case TooQuickly:
		c = tooQuick
	}
	return &refusal{code: c, retryAfter: d.After}
}

// failed is the refusal for an account that has no token now. What the provider
// says to mintonce is for people only: its code would accuse the client.
func failed(err error) *refusal {
	f := busy.because("no usable token now: %s", plain.Text(err))
	var budget *coordinator.BudgetError
	var backoff *coordinator.BackoffError
	var source *coordinator.SourceError
	var rejected *RejectedError
	switch {
	case errors.As(err, &budget):
		f.number, f.text, f.retryAfter = spent.number, spent.text, budget.RetryAfter
	case errors.As(err, &rejected):
		f.retryAfter = max(rejected.RetryAfter, time.Second)
	case errors.As(err, &backoff):
		f.retryAfter = backoff.RetryAfter
	case errors.As(err, &source):
		f.retryAfter = source.After
	}
	return f
}
