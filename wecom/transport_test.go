package wecom_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/mintonce/mintonce/wecom"
)

// A real coordinator, whose token WeCom ends early: the call does not notice.
func TestTransportHeals(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	tokens, err := coordinator.New("office", sourceOf(fake), storetest.NewMemory(), coordinator.Config{MinimumAge: -1})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: wecom.NewTransport(tokens, nil, fake.URL)}
	call := func() (errcode int, body string) {
		t.Helper()
		response, err := client.Post(fake.URL+"/cgi-bin/message/send", "application/json", strings.NewReader(`{"touser":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct {
			ErrCode int    `json:"errcode"`
			Body    string `json:"body"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer.ErrCode, answer.Body
	}
	if code, body := call(); code != 0 || body != `{"touser":"x"}` {
		t.Fatalf("errcode %d, body %q", code, body)
	}
	fake.Revoke(app.ID())
	if code, body := call(); code != 0 || body != `{"touser":"x"}` {
		t.Errorf("errcode %d, body %q after the token was ended early", code, body)
	}
	if got := fake.App(app.ID()); got.CallsRejected[40014] != 1 || got.CallsAccepted != 2 || got.WeComMints != 2 {
		t.Errorf("the provider saw %+v", got)
	}
}

func TestTransportKeepsTheTokenToWeCom(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	tokens, err := coordinator.New("office", sourceOf(fake), storetest.NewMemory(), coordinator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: wecom.NewTransport(tokens, nil)}
	for _, url := range []string{fake.URL + "/cgi-bin/x", "http://qyapi.weixin.qq.com/cgi-bin/x", "https://api.weixin.qq.com/cgi-bin/x", "https://qyapi.weixin.qq.com.example/x"} {
		if _, err := client.Get(url); !errors.Is(err, wecom.ErrForeignHost) {
			t.Errorf("%s: %v, want ErrForeignHost", url, err)
		}
	}
	if got := fake.App(app.ID()); got.MintRequests != 0 {
		t.Error("a token was got for a call that is not made")
	}
}
