//go:build !unix || aix || solaris

package listen

import "io/fs"

func restrict(uintptr, fs.FileMode) {}

func lockFolder(string) (unlock func()) { return func() {} }
