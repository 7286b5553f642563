// Package atomicfile replaces files in one step: whoever reads one, even after
// a crash, finds all of the old content or all of the new.
package atomicfile

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

// Write replaces the file path by data, with permissions 0600. When it returns
// nil, the new content survives a power failure. After an error, the file holds
// the old content or, if only its folder could not be synced, the new.
//
// The data goes to a temporary file in the same folder first. If the process is
// killed, that file is left over; see [Target].
func Write(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*") // 0600
	if err != nil {
		return err
	}
	if err := fill(temp, data); err != nil {
		os.Remove(temp.Name())
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		os.Remove(temp.Name())
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// fill writes data to f, syncs it and closes it.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		// Without this, a power failure after the rename may leave an empty
		// file under the final name.
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// SyncDir makes the renames in a folder survive a power failure.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; NTFS journals renames
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

var temporary = regexp.MustCompile(`^(.+)\.tmp-[0-9]+$`)

// Target returns the name of the file that the temporary file temp was to
// become, and whether temp is the name of a temporary file of Write.
func Target(temp string) (name string, ok bool) {
	match := temporary.FindStringSubmatch(temp)
	if match == nil {
		return "", false
	}
	return match[1], true
}
