package doctor_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/doctor"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/internal/tlstest"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/redis/go-redis/v9"
)

// parse returns a config that has passed its check.
func parse(t *testing.T, format string, args ...any) *config.Config {
	t.Helper()
	text := fmt.Sprintf("tokens:\n  shop: {wechat: {appid: wx1}}\n  other: {wechat: {appid: wx2}}\n"+format, args...)
	c, err := config.Parse("c.yml", []byte(text))
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return &c
}

func TestClients(t *testing.T) {
	good, weak := config.HashKey(config.NewKey()), config.HashKey
	for name, test := range map[string]struct {
		clients string
		want    []string
		not     string
	}{
		"none":         {"", nil, "clients"},
		"as should be": {"{name: php, key_sha256: " + good + ", tokens: ['*'], rights: [read, operate]}", []string{"ok    clients      1 client"}, "warn"},
		"no operator":  {"{name: php, key_sha256: " + good + ", tokens: ['*']}", []string{"warn  clients      no client may rotate a token over the HTTP API: give somebody"}, "fail"},
		"no reader": {"{name: php, key_sha256: " + good + ", tokens: [shop], rights: [read, operate]}, {name: b, key_sha256: " + weak("fine") + ", tokens: [other], rights: [report]}",
			[]string{"warn  clients      no client may read other: add them"}, "fail"},
		"a pattern of nothing": {"{name: php, key_sha256: " + good + ", tokens: ['*', 'merchant-*'], rights: [read, operate]}", []string{"warn  clients      the pattern merchant-* of php fits no token: correct it"}, "fail"},
		"a weak key":           {"{name: php, key_sha256: " + weak("changeme") + ", tokens: ['*']}", []string{"fail  clients      the key of php can be guessed: make another with mintonce client php"}, "changeme"},
		"its own name":         {"{name: php, key_sha256: " + weak("php\n") + ", tokens: ['*']}", []string{"fail  clients      the key of php can be guessed"}, weak("php\n")},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			report := doctor.NewReport(&out)
			report.Clients(parse(t, "clients: [%s]\n", test.clients))
			wantLines(t, report, out.String(), test.want...)
			if strings.Contains(out.String(), test.not) {
				t.Errorf("it says %q:\n%s", test.not, out.String())
			}
		})
	}
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir, err := os.MkdirTemp("", "doctor")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	client := "\nclients: [{name: a, key_sha256: " + strings.Repeat("0", 64) + ", tokens: ['*']}]"
	for _, test := range []struct{ config, want string }{
		{"listen: 127.0.0.1:0", "ok    listen       127.0.0.1:0 is free, and can be reached by this machine only"},
		{"listen: " + taken.Addr().String(), "ok    listen       " + taken.Addr().String() + " is in use, by serve if it runs, and can be reached by this machine only"},
		{"listen: 0.0.0.0:0" + client, "warn  listen       keys and tokens go to 0.0.0.0:0 over the network in clear: set tls"},
		{"listen: 203.0.113.9:1" + client, "warn  listen       cannot listen on 203.0.113.9:1 ("},
		{"listen: unix:" + dir + "/s", "ok    listen       unix:" + dir + "/s is free, and can be reached by those who may open the socket"},
		{"listen: unix:" + dir + "/s\nlisten_mode: 0666", "warn  listen       every user of this machine may open unix:"},
		{"listen: unix:" + dir + "/file", "fail  listen       cannot listen on unix:"},
		{"listen: unix:" + dir + "/none/s", "fail  listen       cannot listen on unix:"},
	} {
		var out strings.Builder
		report := doctor.NewReport(&out)
		report.Listen(t.Context(), parse(t, "%s\n", test.config))
		wantLines(t, report, out.String(), test.want)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("it left something behind: %v", files)
	}
}

func TestTLS(t *testing.T) {
	ca := tlstest.NewCA(t)
	const day = 24 * time.Hour
	good := ca.Issue(90*day+time.Hour, "x", "mintonce.example", "127.0.0.1")
	for name, test := range map[string]struct {
		pair   tlstest.Pair
		more   string
		mode   os.FileMode
		listen string
		want   []string
	}{
		"good": {good, "", 0o600, "mintonce.example:1", []string{
			"ok    tls          the certificate is valid for 90 days, until 20", "ok    tls          the certificate is for mintonce.example, 127.0.0.1", `warn  tls          this machine does not trust the authority "authority of a test"`,
		}},
		"wrong name":  {good, "", 0o600, "other.example:1", []string{"warn  tls          the certificate is not for other.example but for mintonce.example"}},
		"open key":    {good, "", 0o644, "127.0.0.1:1", []string{"warn  tls          "}},
		"no name":     {ca.Issue(90*day, "mintonce.example"), "", 0o600, "127.0.0.1:1", []string{"fail  tls          the certificate has no name that a client would accept"}},
		"soon":        {ca.Issue(13*day+time.Hour, "x", "a.example"), "", 0o600, "127.0.0.1:1", []string{"warn  tls          the certificate expires in 13 days, at 20"}},
		"expired":     {ca.Issue(-time.Minute, "x", "a.example"), "", 0o600, "127.0.0.1:1", []string{"fail  tls          the certificate expired at 20"}},
		"other's key": {tlstest.Pair{Cert: good.Cert, Key: ca.Issue(day, "x").Key}, "", 0o600, "127.0.0.1:1", []string{"fail  tls          c.yml:6: tls.key_file is not the key of cert_file: replace both"}},
		"authority":   {good, ", client_ca_file: %s/ca", 0o600, "127.0.0.1:1", []string{"warn  tls          the authority of clients authority of a test expires in 0 days"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, data := range map[string][]byte{"cert": test.pair.Cert, "key": test.pair.Key, "ca": ca.PEM} {
				if err := os.WriteFile(filepath.Join(dir, file), data, test.mode); err != nil {
					t.Fatal(err)
				}
			}
			if test.more != "" {
				test.more = fmt.Sprintf(test.more, "'"+dir) + "'"
			}
			c := parse(t, "clients: [{name: a, key_sha256: %064d, tokens: ['*']}]\nlisten: %s\ntls: {cert_file: '%s/cert', key_file: '%s/key'%s}\n", 0, test.listen, dir, dir, test.more)
			var out strings.Builder
			report := doctor.NewReport(&out)
			report.TLS(c)
			wantLines(t, report, out.String(), test.want...)
			if strings.Contains(out.String(), "PRIVATE") {
				t.Error("it holds the key")
			}
		})
	}
	var out strings.Builder
	doctor.NewReport(&out).TLS(parse(t, ""))
	if out.Len() > 0 {
		t.Errorf("without TLS: %s", out.String())
	}
}

// TestAccessRulesSuffice: a user who is made with the very line that doctor
// prints is told that everything is in order.
func TestAccessRulesSuffice(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	u, store := open(t, server.URL(), "")
	var out strings.Builder
	report := doctor.NewReport(&out)
	report.Store(t.Context(), u, store)
	_, line, found := strings.Cut(out.String(), "ACL SETUSER ")
	if !found {
		t.Fatalf("no ACL SETUSER in\n%s", out.String())
	}
	line, _, _ = strings.Cut(line, "\n")
	command := []any{"ACL", "SETUSER"}
	for _, word := range strings.Fields(line) {
		command = append(command, strings.Replace(word, ">PASSWORD", ">pw", 1))
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	if err := admin.Do(t.Context(), command...).Err(); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	u, store = open(t, "redis://mintonce@"+server.Addr(), "pw")
	out.Reset()
	report = doctor.NewReport(&out)
	if !report.Store(t.Context(), u, store) {
		t.Error("the store cannot be used")
	}
	wantLines(t, report, out.String(), "ok    store ", "ok    eviction ", "ok    clock ", "ok    writes ", "ok    news ")
	if text := out.String(); strings.Contains(text, "warn ") || strings.Contains(text, "fail ") {
		t.Errorf("not all is in order:\n%s", text)
	}
	for _, forbidden := range [][]any{{"FLUSHALL"}, {"CONFIG", "GET", "*"}, {"KEYS", "*"}, {"GET", "other"}} {
		limited := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "mintonce", Password: "pw"})
		if err := limited.Do(t.Context(), forbidden...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("%v: %v", forbidden, err)
		}
		limited.Close()
	}
}

// TestLive: what only the provider knows, and which address it wants to have.
func TestLive(t *testing.T) {
	fake := wechattest.NewServer(wechattest.Config{})
	defer fake.Close()
	cfg := wechat.Config{API: fake.URL}
	live := func(source coordinator.Source) string {
		var out strings.Builder
		report := doctor.NewReport(&out)
		report.Live(t.Context(), "shop", source)
		if strings.HasPrefix(out.String(), "fail") != (report.Failed() == 1) {
			t.Errorf("%d failed: %s", report.Failed(), out.String())
		}
		if strings.Contains(out.String(), wechattest.Secret) {
			t.Errorf("it holds the secret: %s", out.String())
		}
		return out.String()
	}
	for want, source := range map[string]coordinator.Source{
		"ok    live shop    the provider accepts the secret":                       wechat.NewStableToken(wechattest.AppID, wechattest.Secret, cfg),
		"fail  live shop    the AppSecret is wrong":                                wechat.NewStableToken(wechattest.AppID, "0123456789abcdef0123456789abcdee", cfg),
		"ok    live shop    is not tried: the provider would end the token that i": wechat.NewClassicToken(wechattest.AppID, wechattest.Secret, cfg),
	} {
		if got := live(source); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	fake.AllowOnly(wechattest.AppID, "203.0.113.7")
	if got := live(wechat.NewStableToken(wechattest.AppID, wechattest.Secret, cfg)); !strings.HasPrefix(got, "fail ") || !strings.Contains(got, "add 127.0.0.1 to") {
		t.Errorf("not on the whitelist: %s", got)
	}
}
