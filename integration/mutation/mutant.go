package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// edit replaces a text of a file, which occurs there exactly once.
type edit struct {
	file     string // from the root of the repository
	old, new string
}

// apply returns the files that the edits change, with their new text.
func apply(root string, edits []edit) (map[string]string, error) {
	files := make(map[string]string)
	for _, e := range edits {
		text, ok := files[e.file]
		if !ok {
			source, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, err
			}
			text = string(source)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: this must occur once and occurs %d times; if the guard has moved, change guards.go:\n%s", e.file, n, e.old)
		}
		files[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return files, nil
}

// overlay writes the mutated files below dir, and beside them the file that
// tells the go command to read them in place of the originals. Without edits,
// it replaces nothing.
func overlay(root, dir string, edits []edit) (path string, err error) {
	files, err := apply(root, edits)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, text := range files {
		mutated := filepath.Join(dir, strconv.Itoa(len(replace))+filepath.Ext(file))
		if err := os.WriteFile(mutated, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = mutated
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, content, 0o600)
}

// errNotCompiled tells that the mutation is wrong, not that it was caught.
var errNotCompiled = errors.New("the mutant does not compile")

// compile builds the tests of a package with the overlay.
func compile(ctx context.Context, root, pkg, overlay, binary string) error {
	c := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, pkg)
	c.Dir = root
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %w\n%s", errNotCompiled, err, output)
	}
	return nil
}
