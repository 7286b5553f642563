//go:build linux

package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
)

func init() {
	roles["unlucky"] = failToOpen
	roles["fulldisk"] = fillDisk
	roles["shortfile"] = outgrowLimit
}

// Everything is for the owner only, whatever the umask.
func TestPermissions(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "state", "mintonce")
	s := open(t, dir)
	r := child(coordinator.Record{})
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, r, coordinator.Event{Kind: coordinator.EventMinted}); err != nil {
		t.Fatal(err)
	}
	lease, err := s.Lock(t.Context(), "shop", "me", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release(t.Context())
	want := map[string]fs.FileMode{
		".": 0o700, "shop.json": 0o600, "shop.history": 0o600, "shop.lock": 0o600, "shop.guard": 0o600,
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want)-1 {
		t.Errorf("the folder has %v, error %v; want %v", entries, err, want)
	}
	for name, perm := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != perm {
			t.Errorf("%s has permissions %v, error %v; want %v", name, info.Mode().Perm(), err, perm)
		}
	}
}

// unprivileged runs a child as nobody, where the test itself runs as root, whom
// permissions do not stop.
func unprivileged(t *testing.T, dir string) func(*exec.Cmd) {
	const nobody = 65534
	if os.Getuid() != 0 {
		return func(*exec.Cmd) {}
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, fmt.Sprint("FILESTORE_TEST_UID=", nobody)) }
}

// failToOpen prints the error of New.
func failToOpen(dir string) error {
	var uid int
	if fmt.Sscan(os.Getenv("FILESTORE_TEST_UID"), &uid); uid != 0 {
		if err := syscall.Setuid(uid); err != nil {
			return err
		}
	}
	_, err := filestore.New(dir, filestore.Config{})
	fmt.Println(err)
	return nil
}

// A folder that cannot be written is found by New, not by the first mint.
func TestReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	asNobody := unprivileged(t, dir)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	for path, remedy := range map[string]string{
		dir:                              "let user",
		filepath.Join(dir, "below"):      "sudo install -d -m 0700 -o ",
		filepath.Join(dir, "it's below"): `it'\''s below'), or`,
	} {
		message := start(t, "unlucky", path, asNobody).line(t)
		for _, part := range []string{path, "permission denied", remedy, "another folder"} {
			if !strings.Contains(message, part) {
				t.Errorf("error %q does not say %q", message, part)
			}
		}
	}
}

func TestFolderIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := filestore.New(file, filestore.Config{})
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "must be a folder") {
		t.Errorf("error %v, want one that says that it must be a folder", err)
	}
}

// A folder that is gone is not an empty store: its disk may not be mounted.
func TestFolderIsGone(t *testing.T) {
	s, path, r := written(t)
	dir := filepath.Dir(path)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	_, _, loadErr := s.Load(t.Context(), "shop")
	_, swapErr := s.Swap(t.Context(), "shop", r.Stamp(), child(r))
	_, lockErr := s.Lock(t.Context(), "shop", "me", 0)
	for _, err := range []error{loadErr, swapErr, lockErr} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "folder "+dir) || !strings.Contains(err.Error(), "mount") {
			t.Errorf("error %v, want one that names the folder and what to do", err)
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("after the folder came back: %v, error %v; want %v", got.Stamp(), err, r.Stamp())
	}
}

// When the last watch is stopped, the kernel's is closed.
func TestLastStopClosesTheKernelWatch(t *testing.T) {
	s := open(t, t.TempDir())
	for range 5 {
		notify, arrived := hints()
		stop := s.Watch("shop", notify)
		wantHint(t, arrived, "when watching began")
		if n := inotifyFiles(t); n != 1 {
			t.Errorf("%d kernel watches while watching, want 1", n)
		}
		stop()
		if n := inotifyFiles(t); n != 0 {
			t.Errorf("%d kernel watches after stop, want none", n)
		}
	}
}

// inotifyFiles counts the open files of this process that are kernel watches.
func inotifyFiles(t *testing.T) int {
	t.Helper()
	const open = "/proc/self/fd"
	files, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if target, _ := os.Readlink(filepath.Join(open, file.Name())); strings.Contains(target, "inotify") {
			n++
		}
	}
	return n
}

// A full disk fails the write, says so, and keeps the old record.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	ownMounts := func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	probe := exec.Command(os.Args[0], "-test.run=^$")
	if ownMounts(probe); probe.Run() != nil {
		t.Skip("this machine does not let a test have mounts of its own")
	}
	p := start(t, "fulldisk", dir, ownMounts)
	first := p.line(t)
	if first == "no mounts" {
		t.Skip("this machine does not let a test have mounts of its own")
	}
	for _, message := range []string{first, p.line(t)} {
		for _, part := range []string{dir, "no space left", "free some space"} {
			if !strings.Contains(message, part) {
				t.Errorf("error %q does not say %q", message, part)
			}
		}
	}
	p.wait(t)
}

func fillDisk(dir string) error {
	if syscall.Mount("none", dir, "tmpfs", 0, "size=256k") != nil {
		fmt.Println("no mounts")
		return nil
	}
	ctx := context.Background()
	s, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		return err
	}
	event := coordinator.Event{Kind: coordinator.EventMinted, Detail: "kept"}
	r := child(coordinator.Record{})
	if _, err := s.Swap(ctx, "shop", coordinator.Stamp{}, r, event); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %v", err)
	}
	next := child(r)
	_, err = s.Swap(ctx, "shop", r.Stamp(), next, event)
	fmt.Println(err)
	_, err = filestore.New(dir, filestore.Config{})
	fmt.Println(err)
	if litter, err := filepath.Glob(filepath.Join(dir, "*.tmp-*")); err != nil || len(litter) != 0 {
		return fmt.Errorf("on the full disk, %v were left over, error %v", litter, err)
	}
	if got, _, err := s.Load(ctx, "shop"); err != nil || got.Stamp() != r.Stamp() {
		return fmt.Errorf("on the full disk, the record is %v, error %v; want %v", got.Stamp(), err, r.Stamp())
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if _, err := s.Swap(ctx, "shop", r.Stamp(), next, event); err != nil {
		return fmt.Errorf("after space was freed: %w", err)
	}
	if entries, err := s.History(ctx, "shop", 9); err != nil || len(entries) != 2 {
		return fmt.Errorf("history %v, error %v; want two entries", entries, err)
	}
	return nil
}

// A line of history that does not fit is taken back, and those before stay.
func TestHistoryLineDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	start(t, "shortfile", dir).wait(t)
	wantDetails(t, open(t, dir), 9, "later", "earlier")
}

func outgrowLimit(dir string) error {
	ctx := context.Background()
	s, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		return err
	}
	if err := s.Append(ctx, "shop", coordinator.Event{Detail: "earlier"}); err != nil {
		return err
	}
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: usual.Max}); err != nil {
		return err
	}
	if err := s.Append(ctx, "shop", coordinator.Event{Detail: strings.Repeat("long", 1000)}); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("append beyond the limit: error %v, want EFBIG", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "shop.history"))
	if err != nil || strings.Contains(string(data), "long") {
		return fmt.Errorf("a part of the line stayed: %.200q, error %v", data, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		return err
	}
	return s.Append(ctx, "shop", coordinator.Event{Detail: "later"})
}

// A relative folder means nothing to a process whose own folder is gone. The
// error says which folder it is about.
func TestRelativeFolderNowhere(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := filestore.New("tokens", filestore.Config{}); err == nil || !strings.Contains(err.Error(), "folder tokens: ") {
		t.Errorf("%v, want an error that names the folder", err)
	}
}
