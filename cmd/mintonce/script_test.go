package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/internal/tlstest"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds what a script waits for, on a busy machine.
const patience = 30 * time.Second

// outputs is the variable with the folder where all that the command prints is
// kept as well, in files LABEL.PID.stdout and LABEL.PID.stderr.
const outputs, label = "MINTONCE_TEST_OUTPUTS", "LABEL"

// TestMain makes this binary the command that the scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mintonce": func() { os.Exit(recorded()) }})
}

// recorded is main, with a copy of all output.
func recorded() int {
	name := os.Getenv(label)
	if name == "" && len(os.Args) > 1 {
		name = os.Args[1]
	}
	copyOf := func(stream string) *os.File {
		f, err := os.CreateTemp(os.Getenv(outputs), filepath.Base(name)+".*."+stream)
		if err != nil {
			panic(err)
		}
		return f
	}
	pid := strconv.Itoa(os.Getpid())
	if err := os.WriteFile(filepath.Join(os.Getenv(outputs), filepath.Base(name)+".pid"), []byte(pid), 0o600); err != nil {
		panic(err)
	}
	stdout, stderr := copyOf("stdout"), copyOf("stderr")
	return run(signals(), os.Args[1:], os.Stdin, io.MultiWriter(os.Stdout, stdout), io.MultiWriter(os.Stderr, stderr))
}

func TestScripts(t *testing.T) {
	testscript.Run(t, params(t, "testdata/script", nil))
}

// redisPassword must be in no output, like every secret.
const redisPassword = "redis-password-8c1f"

func TestScriptsOnRedis(t *testing.T) {
	server := redistest.Start(t, "--requirepass", redisPassword)
	testscript.Run(t, params(t, "testdata/redis", func(env *testscript.Env) {
		env.Setenv("REDIS", server.Addr())
		env.Setenv("REDIS_PASSWORD", redisPassword)
		env.Setenv("MINTONCE_PREFIX", filepath.Base(filepath.Dir(env.WorkDir))+"-"+filepath.Base(env.WorkDir))
	}))
}

func params(t *testing.T, dir string, setup func(*testscript.Env)) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			provider := wechattest.NewServer(wechattest.Config{})
			env.Defer(provider.Close)
			kept := filepath.Join(env.WorkDir, ".outputs")
			home := filepath.Join(env.WorkDir, "home")
			for _, folder := range []string{kept, home} {
				if err := os.Mkdir(folder, 0o700); err != nil {
					return err
				}
			}
			for name, value := range map[string]string{
				"GORACE": "atexit_sleep_ms=0", // or every command sleeps a second under -race
				outputs:  kept, "HOME": home, "STATE": filepath.Join(home, ".local/state/mintonce"),
				"API": provider.URL, "APPID": wechattest.AppID, "SECRET": wechattest.Secret,
				"MINTONCE_WECHAT_SECRET": wechattest.Secret, "MINTONCE_WECHAT_APPID": wechattest.AppID, "MINTONCE_WECHAT_API": provider.URL,
			} {
				env.Setenv(name, value)
			}
			if setup != nil {
				setup(env)
			}
			env.Defer(func() { checkSecrecy(t, env, kept) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"oneline": oneLine, "await": await, "http": request, "eventually": eventually, "file-mode": fileMode, "sigterm": sigterm, "sighup": sighup, "sigkill": sigkill,
			"certificates": certificates(t),
		},
	}
}

// tokenForm is that of the fake's tokens.
var tokenForm = regexp.MustCompile(`\d\d_[A-Za-z0-9_-]{40,}`)

// keyForm is that of the keys of clients.
var keyForm = regexp.MustCompile(`mintonce_[0-9A-Za-z]{43}`)

// checkSecrecy looks through all that the commands of a script have printed,
// and through what the file store keeps for people.
func checkSecrecy(t *testing.T, env *testscript.Env, kept string) {
	script := filepath.Base(env.WorkDir)
	files, _ := filepath.Glob(filepath.Join(kept, "*"))
	histories, _ := filepath.Glob(filepath.Join(env.Getenv("STATE"), "*.history"))
	for _, file := range append(files, histories...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%s: %v", script, err)
			continue
		}
		name := filepath.Base(file)
		for _, secret := range []string{wechattest.Secret, redisPassword, "client-key-"} {
			// The sandbox shows the secret of its fake account on stdout: that is
			// what it is for.
			if strings.Contains(string(data), secret) && !(strings.HasPrefix(name, "sandbox.") && strings.HasSuffix(name, ".stdout")) {
				t.Errorf("%s: %s holds a secret:\n%s", script, name, data)
			}
		}
		if tokenForm.Match(data) && !(strings.HasPrefix(name, "token.") && strings.HasSuffix(name, ".stdout")) {
			t.Errorf("%s: %s holds a token:\n%s", script, name, data)
		}
		if keyForm.Match(data) && !(strings.HasPrefix(name, "client.") && strings.HasSuffix(name, ".stdout")) {
			t.Errorf("%s: %s holds the key of a client:\n%s", script, name, data)
		}
	}
}

// oneLine: the last command's stderr is one line of the command's form.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	if text := ts.ReadFile("stderr"); neg || len(args) > 0 || strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "mintonce: ") || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("stderr is not one line of the form mintonce: ...\n%s", text)
	}
}

// await LABEL.STREAM PATTERN [VARIABLE] waits until a command with this label
// has printed what fits, and sets the variable to the first group.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await LABEL.STREAM PATTERN [VARIABLE]")
	}
	who, stream, _ := strings.Cut(args[0], ".")
	pattern := regexp.MustCompile(args[1])
	text := ""
	poll(ts, args[0]+" to print "+args[1], func() bool {
		files, _ := filepath.Glob(filepath.Join(ts.Getenv(outputs), who+".*."+stream))
		for _, file := range files {
			data, _ := os.ReadFile(file)
			text = string(data)
			if found := pattern.FindStringSubmatch(text); found != nil {
				if len(args) > 2 {
					ts.Setenv(args[2], found[1])
				}
				return true
			}
		}
		return false
	})
}

func poll(ts *testscript.TestScript, what string, done func() bool) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	ts.Fatalf("waited %s in vain for %s", patience, what)
}

// request METHOD URL [BODY [KEY]] prints status, headers and body. A key of the
// form @FILE stands in a file.
func request(ts *testscript.TestScript, neg bool, args []string) {
	status, text := send(ts, args)
	io.WriteString(ts.Stdout(), text)
	if neg == (status < 400) {
		ts.Fatalf("%s", text)
	}
}

// eventually PATTERN METHOD URL [BODY [KEY]] repeats a request until its
// answer fits.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	poll(ts, args[0]+" from "+args[2], func() bool {
		_, text := send(ts, args[1:])
		return pattern.MatchString(text) != neg
	})
}

func send(ts *testscript.TestScript, args []string) (int, string) {
	args = append(args, "", "")
	client, url := clientFor(ts, args[1])
	r, err := http.NewRequest(args[0], url, strings.NewReader(args[2]))
	ts.Check(err)
	if args[2] != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if file, ok := strings.CutPrefix(args[3], "@"); ok {
		args[3] = strings.TrimSpace(ts.ReadFile(file))
	}
	if args[3] != "" {
		r.Header.Set("Authorization", "Bearer "+args[3])
	}
	response, err := client.Do(r)
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	var text strings.Builder
	text.WriteString(response.Status + "\n")
	if response.TLS != nil {
		text.WriteString("Certificate: " + response.TLS.PeerCertificates[0].Subject.CommonName + "\n")
	}
	response.Header.Write(&text)
	text.WriteString("\n" + string(body))
	return response.StatusCode, text.String()
}

// clientFor returns a client for a URL. One of the form unix:SOCKET:PATH goes
// through a socket. For https, ca.crt says whom to trust, and $CERT names the
// folder of the certificate to show.
func clientFor(ts *testscript.TestScript, url string) (*http.Client, string) {
	transport := &http.Transport{DisableKeepAlives: true}
	if rest, ok := strings.CutPrefix(url, "unix:"); ok {
		socket, path, _ := strings.Cut(rest, ":")
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", ts.MkAbs(socket))
		}
		url = "http://mintonce" + path
	}
	if strings.HasPrefix(url, "https:") {
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(ts.ReadFile("ca.crt")))
		if folder := ts.Getenv("CERT"); folder != "" {
			pair, err := tls.LoadX509KeyPair(ts.MkAbs(folder+"/tls.crt"), ts.MkAbs(folder+"/tls.key"))
			ts.Check(err)
			transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
		}
	}
	return &http.Client{Transport: transport}, url
}

// certificates makes an authority, ca.crt, and for each name a folder with a
// certificate for this machine and for NAME.example.
func certificates(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, names []string) {
		ca := tlstest.NewCA(t)
		ts.Check(os.WriteFile(ts.MkAbs("ca.crt"), ca.PEM, 0o600))
		for _, name := range names {
			pair := ca.Issue(24*time.Hour, name, "127.0.0.1", name+".example")
			ts.Check(os.Mkdir(ts.MkAbs(name), 0o700))
			ts.Check(os.WriteFile(ts.MkAbs(name+"/tls.crt"), pair.Cert, 0o600))
			ts.Check(os.WriteFile(ts.MkAbs(name+"/tls.key"), pair.Key, 0o600))
		}
	}
}

// sigterm LABEL sends SIGTERM to the command that was started last with this
// label, as an orchestrator does.
func sigterm(ts *testscript.TestScript, _ bool, args []string) {
	sendSignal(ts, args, syscall.SIGTERM)
}

// sighup LABEL sends SIGHUP, as somebody does who has changed the config.
func sighup(ts *testscript.TestScript, _ bool, args []string) {
	sendSignal(ts, args, syscall.SIGHUP)
}

// sigkill LABEL ends the command that was started last with this label.
func sigkill(ts *testscript.TestScript, _ bool, args []string) {
	sendSignal(ts, args, syscall.SIGKILL)
}

func sendSignal(ts *testscript.TestScript, args []string, signal os.Signal) {
	pid, err := strconv.Atoi(ts.ReadFile(filepath.Join(ts.Getenv(outputs), args[0]+".pid")))
	ts.Check(err)
	process, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(process.Signal(signal))
}

// fileMode MODE FILE...: the files have these permissions.
func fileMode(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args[1:] {
		info, err := os.Stat(ts.MkAbs(file))
		ts.Check(err)
		if got := info.Mode().Perm().String(); neg || got != args[0] {
			ts.Fatalf("%s has %s, want %s", file, got, args[0])
		}
	}
}
