package config_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

func TestKeys(t *testing.T) {
	keys := config.NewKeys([]config.Client{{Name: "a", KeySHA256: config.HashKey("key-a")}, {Name: "b", KeySHA256: config.HashKey("key-b")}, {Name: "none"}})
	for key, want := range map[string]string{"key-a": "a", "key-b": "b", "key-c": "", "": "", config.HashKey("key-a"): ""} {
		got := ""
		if client := keys.Client(key); client != nil {
			got = client.Name
		}
		if got != want {
			t.Errorf("key %q is that of %q, want %q", key, got, want)
		}
	}
}

func TestNewKey(t *testing.T) {
	form := regexp.MustCompile(`^mintonce_[0-9A-Za-z]{43}$`)
	seen := make(map[string]bool)
	for range 1000 {
		key := config.NewKey()
		if !form.MatchString(key) || seen[key] {
			t.Fatalf("key %q, seen before: %v", key, seen[key])
		}
		seen[key] = true
	}
	// What sha256sum prints, and other languages compute.
	if got := config.HashKey("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("the hash of abc is %s", got)
	}
}

func TestRates(t *testing.T) {
	const config1 = "tokens: {a: {wechat: {appid: wx1}}}\nclients: [{name: php, key_sha256: " + "\"%064d\", tokens: [a], rate: %s}]\n"
	for rate, want := range map[string]any{
		"50": 50.0, "0.5": 0.5, "": 1000.0, "1e6": 1e6,
		"0": "c.yml:2: clients[1].rate must be a number above 0", "-1": "must be a number above 0", "NaN": "must be a number above 0", ".inf": "must be a number above 0",
		"fast": "must be a number above 0", "[1]": "must be one text", "0.01": "clients[1].rate is out of bounds: use a number of requests a second from 0.1 to 1000000", "1e7": "is out of bounds",
	} {
		c, err := config.Parse("c.yml", fmt.Appendf(nil, config1, 0, rate))
		if err == nil {
			err = c.Check()
		}
		switch want := want.(type) {
		case float64:
			if err != nil || c.Clients[0].Rate != want {
				t.Errorf("rate: %s is %+v, %v", rate, c.Clients, err)
			}
		case string:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("rate: %s: %v, want %s", rate, err, want)
			}
		}
	}
}

func TestSDKMargins(t *testing.T) {
	const text = "tokens: {a: {wechat: {appid: wx1}}}\nclients: [{name: php, key_sha256: " + "\"%064d\", tokens: [a], sdk_margin: %s}]\n"
	for margin, want := range map[string]string{
		"1500": "", "0.5": "", "": "", "3600": "",
		"3601": "clients[1].sdk_margin is out of bounds: use a number of seconds from 0 to 3600", "-1": "must be a number above 0", "25m": "c.yml:2: clients[1].sdk_margin must be a number above 0",
	} {
		c, err := config.Parse("c.yml", fmt.Appendf(nil, text, 0, margin))
		if err == nil {
			err = c.Check()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("sdk_margin: %s: %v, want %s", margin, err, want)
		}
	}
}

// BenchmarkKeys: finding one client of ten thousand costs what finding the only
// one does.
func BenchmarkKeys(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		clients := make([]config.Client, n)
		for i := range clients {
			clients[i].KeySHA256 = config.HashKey(fmt.Sprint(i))
		}
		keys := config.NewKeys(clients)
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				keys.Client("wrong")
			}
		})
	}
}
