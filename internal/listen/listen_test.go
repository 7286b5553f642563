package listen_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mintonce/mintonce/internal/listen"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		local, unix bool
		problem     string
	}{
		"127.0.0.1:8420":            {local: true},
		"localhost:0":               {local: true},
		"[::1]:8420":                {local: true},
		"[::ffff:127.0.0.1]:80":     {local: true},
		":8420":                     {},
		"0.0.0.0:8420":              {},
		"192.0.2.1:http":            {},
		"mintonce.internal:8420":    {},
		"unix:/run/mintonce.sock":   {local: true, unix: true},
		"unix:mintonce.sock":        {local: true, unix: true},
		"":                          {problem: "HOST:PORT"},
		"8420":                      {problem: "HOST:PORT"},
		"127.0.0.1":                 {problem: "HOST:PORT"},
		"127.0.0.1:":                {problem: "HOST:PORT"},
		"127.0.0.1:99999":           {problem: "bad port"},
		"unix:":                     {problem: "no path"},
		"unix:/run/":                {problem: "no path"},
		"unix:@mintonce":            {problem: "abstract socket"},
		"unix:/run/\x00mintonce.so": {problem: "no path"},
	} {
		a, err := listen.Parse(text)
		if want.problem != "" {
			if err == nil || !strings.Contains(err.Error(), want.problem) || !strings.Contains(err.Error(), ": use ") {
				t.Errorf("%q: %v, want %s and a remedy", text, err, want.problem)
			}
			continue
		}
		if err != nil || a.Local() != want.local || a.IsUnix() != want.unix || a.String() != text {
			t.Errorf("%q is %s, local %v, %v", text, a, a.Local(), err)
		}
	}
	if a, _ := listen.Parse("unix:a/b.sock"); a.Below("/etc").String() != "unix:/etc/a/b.sock" {
		t.Errorf("below /etc: %s", a.Below("/etc"))
	}
	if a, _ := listen.Parse("unix:/b.sock"); a.Below("/etc").String() != "unix:/b.sock" {
		t.Errorf("an absolute path below /etc: %s", a.Below("/etc"))
	}
}

func socket(t *testing.T, path string) listen.Address {
	t.Helper()
	a, err := listen.Parse("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// folder is a short one: the path of a socket has little room.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestUnix(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	for mode, want := range map[fs.FileMode]fs.FileMode{0: 0o600, 0o660: 0o660, 0o666: 0o666} {
		l, err := socket(t, path).Listen(t.Context(), mode)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want || listen.Name(l.Addr()) != "unix:"+path {
			t.Errorf("%s has %v, %v, want %v", listen.Name(l.Addr()), info.Mode(), err, want)
		}
		if _, err := socket(t, path).Listen(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "another process answers on it): choose another") {
			t.Errorf("a second one: %v", err)
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// abandon leaves a socket behind, as a process that is killed does.
func abandon(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}

func TestStaleSocket(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	abandon(t, path)
	l, err := socket(t, path).Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestNothingElseIsRemoved(t *testing.T) {
	dir := folder(t)
	file, link, gone := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "no", "s")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	abandon(t, filepath.Join(dir, "target"))
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: "no socket", link: "no socket", dir: "no socket", gone: "no such file",
		filepath.Join(dir, strings.Repeat("x", 100)): "more than 103 bytes",
	} {
		if _, err := socket(t, path).Listen(t.Context(), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	for _, path := range []string{file, link, filepath.Join(dir, "target")} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// Many processes that start at once: one of them gets the socket, and it can be
// reached.
func TestOneOfManyGetsTheSocket(t *testing.T) {
	path := filepath.Join(folder(t), "s")
	for range 20 {
		abandon(t, path)
		var got atomic.Pointer[net.Listener]
		var winners atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if l, err := socket(t, path).Listen(context.Background(), 0); err == nil {
					winners.Add(1)
					got.Store(&l)
				}
			})
		}
		all.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d have it", winners.Load())
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		(*got.Load()).Close()
	}
}

func TestTCP(t *testing.T) {
	a, err := listen.Parse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken, err := listen.Parse(listen.Name(l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := taken.Listen(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "in use): choose another") {
		t.Errorf("a port that is taken: %v", err)
	}
}
