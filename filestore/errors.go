package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

const createFolder = "create the folder"

// explain adds to an error of the file system which folder it is about and what
// to do. It never holds what is in a file.
func (s *Store) explain(doing string, err error) error {
	var remedy string
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "free some space there, or use another folder"
	case doing == createFolder && errors.Is(err, fs.ErrPermission):
		remedy = fmt.Sprintf("create it for this user (sudo install -d -m 0700 -o %s %s), or use another folder", userName(), quoted(s.dir))
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

// userName is who runs this process, for a shell command.
func userName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return quoted(u.Username)
	}
	return strconv.Itoa(os.Getuid()) // containers often know no more
}

// quoted is text as one word for a shell.
func quoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:,", r)
	}
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
