package wechattest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"time"
)

// gettokenPath is WeCom's.
const gettokenPath = "/cgi-bin/gettoken"

// An app at WeCom, for those who do not care which: it is that of the sandbox.
const (
	CorpID     = "ww00000000sandbox0"
	CorpAgent  = "1000002"
	CorpSecret = "sandbox-corp-secret-0123456789abcdef"
)

// CorpApp is an app of a corp at WeCom. Faults, stats and controls know it as
// its ID.
type CorpApp struct{ CorpID, Agent, Secret string }

// ID is CorpID/Agent.
func (a CorpApp) ID() string { return a.CorpID + "/" + a.Agent }

// readGettoken reads a request of WeCom's. It names no app: the secret tells.
func (f *Fake) readGettoken(r *http.Request) asking {
	q := r.URL.Query()
	ask := asking{endpoint: WeCom, appID: q.Get("corpid"), secret: q.Get("corpsecret"), ip: clientIP(r)}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := false
	for _, a := range f.accounts {
		if a.corp == "" || a.corp != ask.appID {
			continue
		}
		known = true
		if a.secret == ask.secret {
			ask.appID = a.id
			return ask
		}
	}
	switch {
	case ask.appID == "":
		ask.errcode = 41002
	case !known:
		ask.errcode = 40013
	case ask.secret == "":
		ask.errcode = 41004
	default:
		ask.errcode = 40001
	}
	return ask
}

// gettoken gives out the same token while it is valid. The Fake is locked.
func (f *Fake) gettoken(ask asking, now time.Time) (*grant, Outcome, int) {
	a := f.accounts[ask.appID]
	switch {
	case ask.errcode != 0:
		return nil, Refused, ask.errcode
	case !a.allows(ask.ip):
		return nil, Refused, 60020
	}
	if current := a.wecom.current; current != nil && current.errcode(now) == 0 {
		return current, Repeated, 0
	}
	return f.succeed(a, &a.wecom, now), Minted, 0
}

// wecomAnswer has an errcode, as WeCom's does, and always says that the whole
// life is left, as users report of it.
func (f *Fake) wecomAnswer(token string, expiresIn *string) answer {
	number := fmt.Sprint(int64(f.cfg.Lifetime / time.Second))
	if expiresIn != nil {
		number = *expiresIn
	}
	if number != "" {
		number = `,"expires_in":` + number
	}
	return answer{status: http.StatusOK, contentType: "application/json; charset=UTF-8",
		body: fmt.Appendf(nil, `{"errcode":0,"errmsg":"ok","access_token":%q%s}`, token, number)}
}

var wecomTexts = map[int]string{
	40001: "invalid credential",
	40013: "invalid corpid",
	40014: "invalid access_token",
	40091: "invalid secret",
	41002: "corpid missing",
	41004: "corpsecret missing",
	42001: "access_token expired",
	45009: "api freq out of limit",
	60020: "not allow to access from your ip",
}

// wecomRefusal is an error in WeCom's form.
func wecomRefusal(code int, ip netip.Addr) answer {
	text := wecomTexts[code]
	if text == "" {
		text = "error"
	}
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(14), nil)
	hint, err := rand.Int(rand.Reader, most)
	if err != nil {
		panic("wechattest: " + err.Error()) // crypto/rand never fails
	}
	return refusalText(code, fmt.Sprintf("%s, hint: [%d%014d], from ip: %s, more info at https://open.work.weixin.qq.com/devtool/query?e=%d", text, time.Now().Unix(), hint, ip, code))
}
