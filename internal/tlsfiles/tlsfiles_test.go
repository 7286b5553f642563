package tlsfiles_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/tlsfiles"
	"github.com/mintonce/mintonce/internal/tlstest"
)

// served is a TLS server whose files are in a folder.
type served struct {
	t     *testing.T
	files tlsfiles.Files
	tls   *tlsfiles.Server
	addr  string
}

func (s *served) write(pair tlstest.Pair) {
	s.writeFile(s.files.Cert, pair.Cert)
	s.writeFile(s.files.Key, pair.Key)
}

func (s *served) writeFile(path string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// start serves a pair, and asks clients for a certificate if there is an
// authority for it.
func start(t *testing.T, pair tlstest.Pair, clients *tlstest.CA) *served {
	t.Helper()
	dir := t.TempDir()
	s := &served{t: t, files: tlsfiles.Files{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}}
	s.write(pair)
	if clients != nil {
		s.files.ClientCA = filepath.Join(dir, "ca")
		s.writeFile(s.files.ClientCA, clients.PEM)
	}
	var err error
	if s.tls, err = tlsfiles.Load(s.files); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.addr = l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				conn := tls.Server(conn, s.tls.Config())
				io.WriteString(conn, "served")
				conn.Close()
			}()
		}
	}()
	return s
}

// dial returns the common name of the server's certificate.
func (s *served) dial(config *tls.Config) (string, error) {
	conn, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.ReadAll(conn); err != nil { // with TLS 1.3, a refusal comes here
		return "", err
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func (s *served) want(config *tls.Config, name string) {
	s.t.Helper()
	if got, err := s.dial(config); got != name {
		s.t.Errorf("the server shows %q, %v, want %q", got, err, name)
	}
}

func TestReload(t *testing.T) {
	ca := tlstest.NewCA(t)
	one, two := ca.Issue(time.Hour, "one", "127.0.0.1"), ca.Issue(time.Hour, "two", "127.0.0.1")
	s := start(t, one, nil)
	s.want(ca.Client(), "one")
	if changed, err := s.tls.Reload(); changed || err != nil {
		t.Errorf("without a change: %v, %v", changed, err)
	}

	s.writeFile(s.files.Cert, two.Cert) // half of the pair
	changed, err := s.tls.Reload()
	var wrong *tlsfiles.Error
	if changed || !errors.As(err, &wrong) || wrong.Error() != "key_file is not the key of cert_file: replace both; if one is being replaced right now, the other will follow" {
		t.Errorf("half of a pair: %v, %v", changed, err)
	}
	s.want(ca.Client(), "one")
	s.writeFile(s.files.Key, two.Key)
	if changed, err := s.tls.Reload(); !changed || err != nil || s.tls.Leaf().Subject.CommonName != "two" {
		t.Errorf("the whole pair: %v, %v, %s", changed, err, s.tls.Leaf().Subject)
	}
	s.want(ca.Client(), "two")
}

// TestUnusableFiles: each is named, and changes nothing.
func TestUnusableFiles(t *testing.T) {
	ca := tlstest.NewCA(t)
	pair := ca.Issue(time.Hour, "good", "127.0.0.1")
	late := ca.Issue(-time.Minute, "expired", "127.0.0.1")
	for name, test := range map[string]struct {
		spoil func(*served)
		want  string
	}{
		"no certificate": {func(s *served) { os.Remove(s.files.Cert) }, "cert_file cannot be read: "},
		"no key":         {func(s *served) { os.Remove(s.files.Key) }, "key_file cannot be read: "},
		"no authority":   {func(s *served) { os.Remove(s.files.ClientCA) }, "client_ca_file cannot be read: "},
		"empty":          {func(s *served) { s.writeFile(s.files.Cert, nil) }, "cert_file holds no certificate"},
		"half":           {func(s *served) { s.writeFile(s.files.Cert, pair.Cert[:len(pair.Cert)/2]) }, "cert_file "},
		"half a key":     {func(s *served) { s.writeFile(s.files.Key, pair.Key[:len(pair.Key)/2]) }, "key_file "},
		"swapped":        {func(s *served) { s.write(tlstest.Pair{Cert: pair.Key, Key: pair.Cert}) }, "cert_file holds no certificate"},
		"no authority's": {func(s *served) { s.writeFile(s.files.ClientCA, pair.Key) }, "client_ca_file holds no certificate"},
		"large":          {func(s *served) { s.writeFile(s.files.Cert, make([]byte, 1<<20+1)) }, "cert_file is larger than 1 MiB"},
		"a folder":       {func(s *served) { os.Remove(s.files.Cert); os.Mkdir(s.files.Cert, 0o700) }, "cert_file cannot be read: "},
		"expired":        {func(s *served) { s.write(late) }, "cert_file expired at "},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, pair, ca)
			test.spoil(s)
			if changed, err := s.tls.Reload(); changed || err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("%v, %v, want %s", changed, err, test.want)
			}
			s.want(ca.Client(pair), "good")
		})
	}
}

// An expired certificate is better than none, if nothing better was there.
func TestExpiredAtTheStart(t *testing.T) {
	ca := tlstest.NewCA(t)
	s := start(t, ca.Issue(-time.Minute, "old", "127.0.0.1"), nil)
	s.write(ca.Issue(-time.Second, "older", "127.0.0.1"))
	if changed, err := s.tls.Reload(); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
}

func TestClientsNeedACertificate(t *testing.T) {
	ours, theirs := tlstest.NewCA(t), tlstest.NewCA(t)
	pair := ours.Issue(time.Hour, "server", "127.0.0.1")
	s := start(t, pair, ours)
	s.want(ours.Client(ours.Issue(time.Hour, "client")), "server")
	for name, config := range map[string]*tls.Config{
		"none":       ours.Client(),
		"of another": ours.Client(theirs.Issue(time.Hour, "client")),
		"expired":    ours.Client(ours.Issue(-time.Minute, "client")),
	} {
		if _, err := s.dial(config); err == nil {
			t.Errorf("%s: it is let in", name)
		}
	}
	old := ours.Client(pair)
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	if _, err := s.dial(old); err == nil {
		t.Error("TLS 1.1 is served")
	}
}

// TestAuthorityIsReplaced: a session begun with a certificate of the old one is
// not resumed.
func TestAuthorityIsReplaced(t *testing.T) {
	before, after := tlstest.NewCA(t), tlstest.NewCA(t)
	s := start(t, before.Issue(time.Hour, "server", "127.0.0.1"), before)
	config := before.Client(before.Issue(time.Hour, "client"))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range 2 {
		s.want(config, "server")
	}
	s.writeFile(s.files.ClientCA, after.PEM)
	if changed, err := s.tls.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if _, err := s.dial(config); err == nil {
		t.Error("a client of the old authority is let in")
	}
	s.want(before.Client(after.Issue(time.Hour, "client")), "server")
}
