package integration_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// mistake is a way to call the command wrongly, or to have nothing that it
// works with.
type mistake struct {
	name string
	args []string
	env  []string // besides the environment of all tests
	code int
	says []string // in its one line: the thing and the remedy
}

// Number 12: what is wrong with usage and config ends with 2, what is wrong
// with the world around with 1; either with one line that names the thing and
// the remedy, and nothing on stdout.
func TestMistakes(t *testing.T) {
	w := newWorld(t, wechattest.Config{}, "--requirepass", redisPassword)
	w.password = redisPassword
	dir := t.TempDir()
	config := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	// Without a lock, a process would mint at stable_token, where that does no
	// harm: so the account is a classic one.
	good := []string{"--wechat-mode", "classic", "--name", "shop", "--wechat-appid", appID, "--wechat-api", w.provider.URL}
	with := func(args ...string) []string { return append(args[:1:1], append(good, args[1:]...)...) }
	file := "file:" + filepath.Join(dir, "state")
	unused := freePort(t)
	locked := "redis://" + w.redis.Addr() + "/0"

	for _, m := range []mistake{
		{"unknown command", []string{"tokne", "shop"}, nil, 2, []string{"tokne", "token"}},
		{"unknown flag", []string{"token", "shop", "--tiemout", "3s"}, nil, 2, []string{"--tiemout", "--help"}},
		{"a secret as a flag", []string{"token", "shop", "--wechat-secret", "no-real-one"}, nil, 2, []string{"--wechat-secret"}},
		{"bad duration", with("token", "shop", "--timeout", "soon"), nil, 2, []string{"--timeout"}},
		{"negative duration", with("token", "shop", "--timeout", "-3s"), nil, 2, []string{"--timeout", "1ms"}},
		{"two names", with("token", "shop", "other"), nil, 2, []string{"NAME"}},
		{"no name", []string{"token", "--store", file}, nil, 2, []string{"NAME"}},
		{"bad name", []string{"token", "a b", "--store", file}, nil, 2, []string{"a b", "A-Z"}},
		{"name with a path", []string{"status", "../x", "--store", file}, nil, 2, []string{"../x", "A-Z"}},
		{"bad level", with("token", "shop", "--log-level", "loud"), nil, 2, []string{"--log-level", "debug"}},
		{"bad level in a variable", with("token", "shop"), []string{"MINTONCE_LOG_LEVEL=loud"}, 2, []string{"MINTONCE_LOG_LEVEL", "debug"}},
		{"bad mode", with("token", "shop", "--wechat-mode", "old"), nil, 2, []string{"mode", "classic"}},
		{"unknown store", with("token", "shop", "--store", "http://example.invalid"), nil, 2, []string{"--store", "redis://"}},
		{"bad database", with("token", "shop", "--store", "redis://127.0.0.1:6379/first"), nil, 2, []string{"--store"}},
		{"fallback in Redis", with("serve", "--fallback", "redis://127.0.0.1:6379/0"), nil, 2, []string{"--fallback", "file:"}},
		{"plain http", []string{"token", "shop", "--wechat-appid", appID, "--wechat-api", "http://192.0.2.1"}, nil, 2, []string{"--wechat-api", "https"}},
		{"listen without clients", with("serve", "--listen", "0.0.0.0:0", "--store", file), nil, 2, []string{"--listen", "clients"}},
		{"serve without tokens", []string{"serve", "--store", file}, nil, 2, []string{"tokens", "config"}},
		{"no secret", with("token", "shop", "--store", file), []string{"MINTONCE_WECHAT_SECRET="}, 2, []string{"secret", "MINTONCE_WECHAT_SECRET"}},
		{"report without stdin", with("report", "shop", "--store", file), nil, 2, []string{"--token-stdin"}},
		{"no config", []string{"serve", "--config", dir + "/none.yml"}, nil, 2, []string{"none.yml", "--config"}},
		{"unknown key", []string{"serve", "--config", config("key.yml", "tokns: {shop: {}}\n")}, nil, 2, []string{"key.yml:1", "tokns", "tokens"}},
		{"not YAML", []string{"serve", "--config", config("bad.yml", "tokens: [\n")}, nil, 2, []string{"bad.yml", "YAML"}},
		{"secret in the config", []string{"serve", "--config", config("secret.yml", "tokens:\n  shop:\n    wechat: {appid: wx1, secret: abc}\n")}, nil, 2, []string{"secret.yml:3", "secret_file"}},

		{"Redis unreachable", with("token", "shop", "--timeout", "2s", "--store", "redis://"+unused+"/0"), nil, 1, []string{unused, "check the address"}},
		{"status, Redis unreachable", []string{"status", "shop", "--store", "redis://" + unused + "/0"}, nil, 1, []string{unused, "check the address"}},
		{"no password", with("token", "shop", "--timeout", "2s", "--store", locked), []string{"MINTONCE_STORE_PASSWORD="}, 1, []string{"password", "give it one"}},
		{"wrong password", with("token", "shop", "--timeout", "2s", "--store", locked), []string{"MINTONCE_STORE_PASSWORD=guessed"}, 1, []string{"password", "check"}},
		{"folder below a file", with("token", "shop", "--store", "file:"+config("plain", "")+"/state"), nil, 1, []string{"plain", "folder"}},
		{"port in use", with("serve", "--store", file, "--listen", w.redis.Addr()), nil, 1, []string{w.redis.Addr(), "--listen"}},
	} {
		t.Run(m.name, func(t *testing.T) { w.wantMistake(t, m, nil) })
	}
	if _, requests := w.provider.mints(); requests != 0 {
		t.Errorf("the provider was asked %d times", requests)
	}
	if w.token("later") == "" {
		t.Error("with the right password there is no token")
	}
}

// redisPassword is that of a Redis that asks for one.
const redisPassword = "redis-pass/word"

// wantMistake makes a mistake and judges what the command says.
func (w *world) wantMistake(t *testing.T, m mistake, as *syscall.Credential) {
	t.Helper()
	p := w.note(launchAs(t, as, m.name, append(w.environment(), m.env...), nil, commandPath(t), m.args...))
	p.mayFail = true
	if code := p.wait(); code != m.code {
		t.Errorf("exit code %d, want %d\n%s", code, m.code, p.told())
	}
	text := p.stderr.String()
	if strings.Count(text, "\n") != 1 || p.stdout.String() != "" {
		t.Errorf("want one line on stderr and nothing else\n%s", p.told())
	}
	for _, want := range m.says {
		if !strings.Contains(text, want) {
			t.Errorf("the line has no %q\n%s", want, p.told())
		}
	}
}

// Number 12: a folder that cannot be written. Permissions do not stop root, so
// then the command runs as nobody.
func TestReadOnlyFolder(t *testing.T) {
	w := newFileWorld(t, wechattest.Config{})
	var as *syscall.Credential
	if os.Getuid() == 0 {
		const nobody = 65534
		as = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	// Not t.TempDir, which others cannot enter.
	open, err := os.MkdirTemp("", "mintonce-read-only-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(open) })
	folder := filepath.Join(open, "state")
	if err := errorOf(os.Chmod(open, 0o755), os.Chmod(built, 0o755), os.Mkdir(folder, 0o555)); err != nil {
		t.Fatal(err)
	}
	good := []string{"--name", "shop", "--wechat-appid", appID, "--wechat-api", w.provider.URL}
	for _, m := range []mistake{
		{"token", append([]string{"token", "--store", "file:" + folder}, good...), nil, 1, []string{folder, "write"}},
		{"serve", append([]string{"serve", "--store", "file:" + folder}, good...), nil, 1, []string{folder, "write"}},
		{"fallback", append([]string{"serve", "--store", "redis://127.0.0.1:1/0", "--fallback", "file:" + folder}, good...), nil, 1, []string{"fallback", folder, "write"}},
	} {
		t.Run(m.name, func(t *testing.T) { w.wantMistake(t, m, as) })
	}
	if _, requests := w.provider.mints(); requests != 0 {
		t.Errorf("the provider was asked %d times", requests)
	}
}

func errorOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// A record of a newer version is neither used nor overwritten; fields that this
// version does not know are kept.
func TestRecordsOfOtherVersions(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	client := w.client()
	w.token("first")
	if err := client.HSet(t.Context(), recordKey, "colour", "green").Err(); err != nil {
		t.Fatal(err)
	}
	w.must("operator", "rotate", "shop")
	record, err := w.record(client)
	if err != nil {
		t.Fatal(err)
	}
	wantField(t, record, "generation", "2")
	wantField(t, record, "colour", "green")

	if err := client.HSet(t.Context(), recordKey, "format", "2").Err(); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"token", "refresh", "rotate"} {
		code, p := w.run("old", command, "shop", "--timeout", "10s")
		if code != 1 || !strings.Contains(lastLine(p.stderr.String()), "newer version") {
			t.Errorf("exit code %d, want 1 and why\n%s", code, p.told())
		}
	}
	now, err := w.record(client)
	if err != nil {
		t.Fatal(err)
	}
	wantField(t, now, "revision", record["revision"])
	w.provider.wantMints(t, 2)
}

// freePort is an address at which nobody listens.
func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
