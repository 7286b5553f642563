package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mintonce/mintonce/internal/atomicfile"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"old and longer", "new", ""} {
		if err := atomicfile.Write(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || string(data) != content {
			t.Errorf("file holds %q, error %v; want %q", data, err, content)
		}
		wantOnly(t, dir, "file")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions are %v, error %v; want 0600", info.Mode().Perm(), err)
	}
}

// Another process that reads at the same time has an open file, whose content
// stays.
func TestWriteLeavesOpenFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := atomicfile.Write(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := atomicfile.Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 3)
	if _, err := f.Read(data); err != nil || string(data) != "old" {
		t.Errorf("the open file holds %q, error %v; want the old content", data, err)
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.MkdirAll(filepath.Join(path, "below"), 0o700); err != nil { // cannot be renamed over
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("new")); err == nil {
		t.Error("Write over a folder succeeded")
	}
	wantOnly(t, dir, "file")
	if err := atomicfile.Write(filepath.Join(dir, "missing", "file"), nil); err == nil {
		t.Error("Write to a missing folder succeeded")
	}
}

func wantOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("folder holds %v, error %v; want only %s", entries, err, name)
	}
}

func TestTarget(t *testing.T) {
	for temp, want := range map[string]string{
		"shop.json.tmp-1":          "shop.json",
		"shop.json.tmp-4294967295": "shop.json",
		"shop.json.tmp-1.tmp-2":    "shop.json.tmp-1",
		"shop.json":                "",
		"shop.json.tmp-":           "",
		"shop.json.tmp-1.json":     "",
		"shop.json.tmp-1a":         "",
		".tmp-1":                   "",
		"shop.json.tmp-1\n":        "",
	} {
		if got, ok := atomicfile.Target(temp); got != want || ok != (want != "") {
			t.Errorf("Target(%q) = %q, %t; want %q", temp, got, ok, want)
		}
	}
	// What Write makes is recognised.
	f, err := os.CreateTemp(t.TempDir(), "shop.json.tmp-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, ok := atomicfile.Target(filepath.Base(f.Name())); !ok || got != "shop.json" {
		t.Errorf("Target(%q) = %q, %t", filepath.Base(f.Name()), got, ok)
	}
}
