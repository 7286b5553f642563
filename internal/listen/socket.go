package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// answers is how long a process may take to accept a connection. The kernel
// does that for it.
const answers = time.Second

// listenUnix makes a socket, in place of one that a process has left behind.
// Closing the listener removes it.
func listenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if len(path) > longestPath {
		return nil, fmt.Errorf("the path has more than %d bytes", longestPath)
	}
	// Of two processes that find the same socket left behind, the slower one
	// must not remove that of the faster.
	defer lockFolder(filepath.Dir(path))()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		return socket.Control(func(fd uintptr) { restrict(fd, mode) })
	}}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// removeStale removes a socket on which nobody answers. It removes nothing
// else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file that is no socket")
	}
	conn, err := net.DialTimeout("unix", path, answers)
	switch {
	case err == nil:
		_ = conn.Close() // it was only asked whether anybody is there
		return errors.New("another process answers on it")
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("there is a socket, and whether anybody answers on it cannot be found out: %w", cause(err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
