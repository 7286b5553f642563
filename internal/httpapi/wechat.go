package httpapi

import (
	"net/http"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// newWeChat makes the handler of WeChat's own paths. It needs no routes: what
// is meant for WeChat is answered in WeChat's form, and ServeMux would redirect
// an untidy path, with the key in its query.
func (a *api) newWeChat() *wechatapi.Handler {
	cfg := a.WeChat
	cfg.Log = a.Log
	cfg.Credential = func(name string) wechatapi.Credential {
		if credential, ok := a.Credentials[name]; ok {
			return credential
		}
		return nil
	}
	cfg.Identify = func(r *http.Request, key string) (*config.Client, *wechatapi.Denial) {
		who, denial := a.identify(r, key)
		if denial != nil {
			return nil, denial.wechat()
		}
		return who.client, nil
	}
	return wechatapi.New(cfg)
}

// serveWeChat answers a request that was meant for WeChat. problem is why it is
// not let in, or nil.
func (a *api) serveWeChat(w http.ResponseWriter, r *http.Request, problem *problem) {
	if problem != nil {
		a.wechat.Outside(w, r, problem.Detail)
		return
	}
	a.wechat.ServeHTTP(w, r)
}

// wechat is the denial as the WeChat paths say it. Very many wrong keys are
// wrong keys there, too: the log of an SDK should show why.
func (d *denial) wechat() *wechatapi.Denial {
	reasons := map[denied]wechatapi.Reason{noKey: wechatapi.NoKey, wrongKey: wechatapi.WrongKey, wrongKeys: wechatapi.WrongKey, tooQuickly: wechatapi.TooQuickly}
	return &wechatapi.Denial{Reason: reasons[d.reason], After: d.after}
}
