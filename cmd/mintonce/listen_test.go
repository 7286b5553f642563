package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/tlstest"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// TestCertificateIsReplacedUnderLoad: while clients keep asking, over
// connections that they keep and over new ones, certificate and key are
// replaced as people, cert-manager and Kubernetes do. No request fails, and the
// new certificate is served.
func TestCertificateIsReplacedUnderLoad(t *testing.T) {
	ca := tlstest.NewCA(t)
	const hour = time.Hour
	for name, replace := range map[string]func(t *testing.T, dir string, pair tlstest.Pair){
		"written in place, with a pause": func(t *testing.T, dir string, pair tlstest.Pair) {
			put(t, filepath.Join(dir, "tls.crt"), pair.Cert)
			time.Sleep(600 * time.Millisecond) // so that half of the pair is noticed
			put(t, filepath.Join(dir, "tls.key"), pair.Key)
		},
		"renamed": func(t *testing.T, dir string, pair tlstest.Pair) {
			for file, data := range map[string][]byte{"tls.key": pair.Key, "tls.crt": pair.Cert} {
				put(t, filepath.Join(dir, "new"), data)
				if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"behind a link, as Kubernetes does": kubernetes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			kubernetes(t, dir, ca.Issue(hour, "before", "127.0.0.1"))
			if !strings.Contains(name, "Kubernetes") {
				flatten(t, dir)
			}
			address, log := serveTLS(t, dir)
			steady := newSteady(t, ca, address)
			steady.await("before")
			replace(t, dir, ca.Issue(hour, "after", "127.0.0.1"))
			steady.await("after")
			steady.stop()
			log.await(t, "certificate replaced") // it is served before it is told
			if n := strings.Count(log.take(), "certificate replaced"); n != 1 {
				t.Errorf("it is told %d times", n)
			}
		})
	}
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// kubernetes writes a pair as the kubelet does: into a new folder, to which the
// link ..data is then turned by a rename.
func kubernetes(t *testing.T, dir string, pair tlstest.Pair) {
	t.Helper()
	folder, err := os.MkdirTemp(dir, "..2026_")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(folder, "tls.crt"), pair.Cert)
	put(t, filepath.Join(folder, "tls.key"), pair.Key)
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	for _, link := range []struct{ target, name string }{{filepath.Base(folder), "..data_tmp"}, {"..data/tls.crt", "tls.crt"}, {"..data/tls.key", "tls.key"}} {
		if err := os.Symlink(link.target, filepath.Join(dir, link.name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if before != "" {
		os.RemoveAll(filepath.Join(dir, before))
	}
}

// flatten turns the links into files.
func flatten(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"tls.crt", "tls.key"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(path)
		put(t, path, data)
	}
}

// serveTLS runs serve with the pair of a folder, and returns its address and
// its log.
func serveTLS(t *testing.T, dir string) (string, *lockedBuffer) {
	t.Helper()
	fake := wechattest.NewServer(wechattest.Config{})
	t.Cleanup(fake.Close)
	home := t.TempDir()
	put(t, filepath.Join(home, "secret"), []byte(wechattest.Secret))
	file := filepath.Join(home, "c.yml")
	put(t, file, fmt.Appendf(nil, "listen: 127.0.0.1:0\nstore: file:state\ntls: {cert_file: '%s/tls.crt', key_file: '%s/tls.key'}\ntokens:\n  shop: {wechat: {appid: %s, api: %q, secret_file: secret}}\n",
		dir, dir, wechattest.AppID, fake.URL))
	load := func(before *config.Config) (*config.Config, error) {
		c, err := config.ReadAgain(file, before)
		return &c, err
	}
	c, err := load(nil)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	a := &app{log: slog.New(slog.NewTextHandler(log, nil)), flags: flags{config: file}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.serve(ctx, c, load) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
		if _, after, found := strings.Cut(log.peek(), " listen="); found {
			return strings.Fields(after)[0], log
		}
	}
}

// steady are clients that ask all the time. None of their requests may fail.
type steady struct {
	t       *testing.T
	stop    func()
	served  atomic.Pointer[string] // the certificate that a new connection was shown last
	reading atomic.Int64
}

func newSteady(t *testing.T, ca *tlstest.CA, address string) *steady {
	s := &steady{t: t}
	none := ""
	s.served.Store(&none)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 6 {
		fresh := i%2 == 0
		transport := &http.Transport{TLSClientConfig: ca.Client(), DisableKeepAlives: fresh, ForceAttemptHTTP2: i%3 == 0}
		if i >= 4 { // resumes sessions, and so sees the certificate of before
			transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		}
		client := &http.Client{Transport: transport, Timeout: patience}
		all.Go(func() {
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				s.ask(client, "https://"+address+"/v1/tokens/shop", fresh && i < 4)
			}
		})
	}
	s.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(s.stop)
	return s
}

func (s *steady) ask(client *http.Client, url string, fresh bool) {
	response, err := client.Get(url)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Errorf("%s %s %v", response.Status, body, err)
	}
	if s.reading.Add(1); fresh {
		s.served.Store(&response.TLS.PeerCertificates[0].Subject.CommonName)
	}
}

// await waits until a certificate is served, and then for some more requests.
func (s *steady) await(name string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for more := int64(-1); ; time.Sleep(5 * time.Millisecond) {
		switch {
		case *s.served.Load() != name:
		case more < 0:
			more = s.reading.Load() + 50
		case s.reading.Load() >= more:
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the certificate %s is not served; %s is", name, *s.served.Load())
		}
	}
}
