package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// asked is an answer at WeChat's paths.
type asked struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	ErrCode     int    `json:"errcode"`
	ErrMsg      string `json:"errmsg"`
}

// ask asks like an SDK: at stable_token if that is set, with force_refresh.
func (w *sdkWorld) ask(key string, stable bool) asked {
	w.t.Helper()
	var response *http.Response
	var err error
	if stable {
		body := fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":true}`, appID, key)
		response, err = http.Post(w.server.url+"/cgi-bin/stable_token", "application/json", strings.NewReader(body))
	} else {
		query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {key}}
		response, err = http.Get(w.server.url + "/cgi-bin/token?" + query.Encode())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var a asked
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("%d %v", response.StatusCode, err)
	}
	return a
}

// TestDropInClients: 100 clients that ask 100 times each, as badly as SDKs can,
// with force_refresh and without a cache, cause no mint beyond the first of each
// mode; and when a stranger mints, one more, for all of them together.
func TestDropInClients(t *testing.T) {
	t.Parallel() // it waits for half a minute
	const clients, calls = 100, 100
	w := newSDKWorld(t, clients)
	all := func() (dead int64) {
		var refused atomic.Int64
		var group sync.WaitGroup
		for i, key := range w.keys {
			group.Go(func() {
				for call := range calls {
					stable := (i+call)%2 == 0
					a := w.ask(key, stable)
					if a.AccessToken == "" || a.ExpiresIn < 5000 || a.ExpiresIn > 7200 {
						t.Errorf("client %d: errcode %d %s, expires_in %d", i, a.ErrCode, a.ErrMsg, a.ExpiresIn)
						return
					}
					if call >= calls-2 && !w.provider.Accepts(a.AccessToken) {
						refused.Add(1)
					}
				}
			})
		}
		group.Wait()
		return refused.Load()
	}
	if dead := all(); dead != 0 {
		t.Errorf("%d clients have a dead token", dead)
	}
	w.minted(1, 1)

	w.ripe()
	w.provider.MintElsewhere(appID, wechattest.Classic)
	w.provider.MintElsewhere(appID, wechattest.Stable)
	if dead := all(); dead != 0 {
		t.Errorf("%d clients were left with a dead token", dead)
	}
	// Asking again at stable_token gave the token that the stranger had forced.
	w.minted(2, 1)
	if repeats := w.provider.App(appID).StableRepeats; repeats != 1 {
		t.Errorf("WeChat was asked %d times for the stable token that it had", repeats)
	}
}
