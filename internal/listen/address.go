// Package listen opens the address at which the HTTP API is served: a TCP port,
// or a Unix socket.
package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

// DefaultMode is that of a Unix socket: for the user who serves it alone.
const DefaultMode fs.FileMode = 0o600

const unixPrefix = "unix:"

// longestPath is what the address of a socket has room for on every system.
const longestPath = 103

// Address is where to listen: HOST:PORT, or unix:PATH.
type Address struct {
	host, port string
	path       string // of a Unix socket; empty for TCP
}

// Parse reads an address. Its error ends with what to do.
func Parse(text string) (Address, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		switch {
		case path == "" || strings.HasSuffix(path, "/") || strings.ContainsRune(path, 0):
			return Address{}, errors.New("has no path of a socket: use unix:/run/mintonce/mintonce.sock")
		case path[0] == '@':
			return Address{}, errors.New("is an abstract socket, which every process may open: use a path")
		}
		return Address{path: filepath.Clean(path)}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || port == "" {
		return Address{}, errors.New("is not of the form HOST:PORT: use 127.0.0.1:8420, :8420 for every address, or unix:PATH")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return Address{}, errors.New("has a bad port: use a number from 0 to 65535")
	}
	return Address{host: host, port: port}, nil
}

// Below takes a relative path of a socket from a folder.
func (a Address) Below(dir string) Address {
	if a.path != "" && !filepath.IsAbs(a.path) {
		a.path = filepath.Join(dir, a.path)
	}
	return a
}

// IsUnix reports whether it is a Unix socket.
func (a Address) IsUnix() bool { return a.path != "" }

// Host is that of a TCP address; empty for every address.
func (a Address) Host() string { return a.host }

// Port is that of a TCP address.
func (a Address) Port() string { return a.port }

// Path is that of a Unix socket.
func (a Address) Path() string { return a.path }

// Local reports whether only processes of this machine can reach it.
func (a Address) Local() bool { return a.IsUnix() || IsLoopback(a.host) }

// String is the text that Parse reads.
func (a Address) String() string {
	if a.IsUnix() {
		return unixPrefix + a.path
	}
	return net.JoinHostPort(a.host, a.port)
}

// Name is the address of a listener in the form that Parse reads.
func Name(at net.Addr) string {
	if at.Network() == "unix" {
		return unixPrefix + at.String()
	}
	return at.String()
}

// IsLoopback reports whether a host is this machine, by its name or its
// address.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Listen opens the address. mode is that of a Unix socket; 0 is DefaultMode.
func (a Address) Listen(ctx context.Context, mode fs.FileMode) (net.Listener, error) {
	if mode == 0 {
		mode = DefaultMode
	}
	var listener net.Listener
	var err error
	if a.IsUnix() {
		listener, err = listenUnix(ctx, a.path, mode)
	} else {
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp", a.String())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%w): choose another address with --listen", a, cause(err))
	}
	return listener, nil
}

// cause is an error without the names of the operation and the address.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
