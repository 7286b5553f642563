package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

const mintQuery = "/cgi-bin/token?grant_type=client_credential&appid=" + wechattest.AppID + "&secret=" + wechattest.Secret

func get(ctx context.Context, t *testing.T, url string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func providerForTest(t *testing.T) (*provider, context.Context) {
	t.Helper()
	p, err := startProvider(timing{life: 10 * time.Second, overlap: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return p, ctx
}

func TestAHeldMintHasMintedAndTellsWhoseItIs(t *testing.T) {
	p, ctx := providerForTest(t)
	held := p.holdNextMint()
	client, kill := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := get(client, t, p.url(3)+mintQuery)
		ended <- err
	}()
	select {
	case replica := <-held:
		if mints, _ := p.counts(); replica != 3 || mints != 1 {
			t.Errorf("held is replica %d after %d mints, want replica 3 after 1", replica, mints)
		}
	case <-ctx.Done():
		t.Fatal("no mint was held")
	}
	select {
	case err := <-ended:
		t.Fatalf("the held mint was answered (%v)", err)
	default:
	}
	kill()
	if err := <-ended; err == nil {
		t.Error("the held mint was answered")
	}
	if body, err := get(ctx, t, p.url(1)+mintQuery); err != nil || !strings.Contains(body, "access_token") {
		t.Errorf("the next mint got %q, %v", body, err)
	}
}

func TestCountsAreThoseOfTheReplicas(t *testing.T) {
	p, ctx := providerForTest(t)
	p.holdNextMint()
	p.holdNoMint()
	for range 2 {
		if _, err := get(ctx, t, p.url(1)+mintQuery); err != nil {
			t.Fatal(err)
		}
	}
	p.mintElsewhere()
	if body, err := get(ctx, t, p.url(2)+messagePath+"?access_token=never-was-one"); err != nil || !strings.Contains(body, "40014") {
		t.Fatalf("got %q, %v", body, err)
	}
	if mints, rejected := p.counts(); mints != 2 || rejected != 1 {
		t.Errorf("%d mints and %d rejected, want 2 and 1", mints, rejected)
	}
	if body, _ := get(ctx, t, "http://"+p.address+"/cgi-bin/token"); !strings.Contains(body, "not found") {
		t.Errorf("a request of no replica got %q", body)
	}
}
