package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// explain adds to an error of the file system which folder it is about and what
// to do. It never holds what is in a file.
func (s *Store) explain(doing string, err error) error {
	var remedy string
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "free some space there, or use another folder"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		remedy = fmt.Sprintf("let user %d read and write it, or use another folder", os.Getuid())
	case errors.Is(err, fs.ErrNotExist):
		remedy = "create the folder or mount its disk, with permissions 0700"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		remedy = "it must be a folder; use another"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		remedy = "raise the limit of open files"
	default:
		remedy = "check the disk, or use another folder"
	}
	return fmt.Errorf("filestore: folder %s: cannot %s: %w; %s", s.dir, doing, err, remedy)
}
