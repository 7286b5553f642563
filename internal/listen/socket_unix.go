//go:build unix && !aix && !solaris

package listen

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// restrict gives a socket its permissions before it has a name. Linux keeps
// them, so that nobody can be faster than the chmod that follows; other systems
// may refuse.
func restrict(fd uintptr, mode fs.FileMode) { _ = syscall.Fchmod(int(fd), uint32(mode.Perm())) }

// lockFolder makes processes that make sockets in one folder wait for each
// other, until the result is called. They don't where the folder cannot be
// locked, or somebody else holds its lock for longer than that takes.
func lockFolder(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(2 * answers); syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == syscall.EWOULDBLOCK && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return func() { _ = f.Close() }
}
