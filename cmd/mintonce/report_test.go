package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// aged stores a record whose token is old enough to be doubted.
func aged(t *testing.T, dir, value, credential string) {
	t.Helper()
	store, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Millisecond)
	record := coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, then))
	record.Credential, record.CommittedAt, record.RefreshAt = credential, record.Revision(), then.Add(time.Hour)
	record.Grant = coordinator.Grant{Value: value, Generation: 1, IssuedAt: then, ExpiresAt: then.Add(2 * time.Hour)}
	if _, err := store.Swap(t.Context(), "shop", coordinator.Stamp{}, record); err != nil {
		t.Fatal(err)
	}
}

func TestReportActs(t *testing.T) {
	const rejected = "rejected-token-value"
	provider := wechattest.NewServer(wechattest.Config{})
	defer provider.Close()
	credential := wechat.NewStableToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: provider.URL}).Traits().Credential
	t.Setenv("MINTONCE_WECHAT_SECRET", wechattest.Secret)
	source := []string{"--wechat-appid", wechattest.AppID, "--wechat-api", provider.URL}

	for _, test := range []struct {
		name   string
		source []string
		wait   string
		code   int
		stdout string
		stderr string
		mints  int
	}{
		{"with a source", source, "20s", 0, "shop: acted: a new token is there\n", "", 1},
		{"as a reader without a refresher", nil, "300ms", 1, "", "mintonce: shop: the token is in doubt now, and no other process has replaced it yet: run mintonce serve", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			aged(t, dir, rejected, credential)
			var stdout, stderr bytes.Buffer
			args := append([]string{"report", "shop", "--token-stdin", "--code", "40001", "--store", "file:" + dir, "--timeout", test.wait}, test.source...)
			code := run(t.Context(), args, strings.NewReader(rejected+"\n"), &stdout, &stderr)
			if code != test.code || stdout.String() != test.stdout || !strings.HasPrefix(stderr.String(), test.stderr) || (stderr.Len() == 0) != (test.stderr == "") {
				t.Errorf("%d, stdout %q, stderr %q", code, &stdout, &stderr)
			}
			if strings.Contains(stdout.String()+stderr.String(), rejected) {
				t.Error("it shows the token")
			}
			if mints := provider.App(wechattest.AppID).StableMints; mints != test.mints {
				t.Errorf("%d mints, want %d", mints, test.mints)
			}
			var again bytes.Buffer
			if run(t.Context(), []string{"status", "shop", "--store", "file:" + dir}, nil, &again, &again); !strings.Contains(again.String(), "reported") {
				t.Errorf("the history does not tell of the report:\n%s", &again)
			}
		})
	}
}

// TestReportOfATokenThatIsGood: the provider gives out the very token that was
// reported.
func TestReportOfATokenThatIsGood(t *testing.T) {
	provider := wechattest.NewServer(wechattest.Config{})
	defer provider.Close()
	value := provider.MintElsewhere(wechattest.AppID, wechattest.Stable)
	dir := t.TempDir()
	aged(t, dir, value, wechat.NewStableToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: provider.URL}).Traits().Credential)
	t.Setenv("MINTONCE_WECHAT_SECRET", wechattest.Secret)
	var stdout, stderr bytes.Buffer
	args := []string{"report", "shop", "--token-stdin", "--code", "40001", "--store", "file:" + dir, "--wechat-appid", wechattest.AppID, "--wechat-api", provider.URL}
	if code := run(t.Context(), args, strings.NewReader(value), &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "shop: vouched for: ") {
		t.Errorf("%d, stdout %q, stderr %q", code, &stdout, &stderr)
	}
}
