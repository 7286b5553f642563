package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tokenFile is one of the files of TokensFrom.
type tokenFile struct {
	path   string
	tokens map[string]Token
	before map[string]Token // what the file had, in the config before
	err    error            // why it is refused; its tokens are then those from before
}

// refuse makes the file keep the tokens that it had.
func (f *tokenFile) refuse(err error) { f.err, f.tokens = err, f.before }

// unchanged reports whether the file has the tokens that it had.
func (f *tokenFile) unchanged() bool {
	return f.before != nil && maps.EqualFunc(f.tokens, f.before, Token.same)
}

// readTokenFiles adds the tokens of the files that TokensFrom names. One that
// cannot be used spoils nothing for the others.
func (c *Config) readTokenFiles(before *Config) error {
	if c.TokensFrom == "" {
		return nil
	}
	paths, err := c.tokenFilePaths()
	if err != nil {
		return err
	}
	had := before.byFile()
	var files []*tokenFile
	for _, path := range paths {
		f := &tokenFile{path: path, before: had[path]}
		if f.tokens, f.err = readTokenFile(path); f.err != nil {
			f.refuse(f.err)
		}
		files = append(files, f)
	}
	return c.merge(files)
}

// byFile returns the tokens that stand in token files, by file.
func (c *Config) byFile() map[string]map[string]Token {
	files := make(map[string]map[string]Token)
	if c == nil {
		return files
	}
	for name, t := range c.Tokens {
		if file := t.place.file; c.InTokenFile(name) {
			if files[file] == nil {
				files[file] = make(map[string]Token)
			}
			files[file][name] = t
		}
	}
	return files
}

// tokenFilePaths lists the token files, sorted. Hidden ones belong to editors
// and to Kubernetes.
func (c *Config) tokenFilePaths() ([]string, error) {
	folder, pattern := TokenFolder(c.TokensFrom)
	if _, err := filepath.Match(pattern, ""); err != nil || strings.ContainsAny(folder, "*?[") {
		return nil, c.wrong("tokens_from", "is not a pattern for files in one folder", "write DIR or DIR/*.yml")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, c.wrong("tokens_from", "names a folder that cannot be read: "+folder+" ("+reason(err)+")", "create it, or correct the path")
	}
	var paths []string
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if !MatchTokenFile(pattern, e.Name()) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			continue
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// TokenFolder splits what tokens_from says into a folder and the pattern of the
// files there; the pattern is empty for a folder alone.
func TokenFolder(from string) (folder, pattern string) {
	if strings.ContainsAny(filepath.Base(from), "*?[") {
		return filepath.Dir(from), filepath.Base(from)
	}
	if info, err := os.Stat(from); err == nil && !info.IsDir() {
		return filepath.Dir(from), filepath.Base(from)
	}
	return from, ""
}

// MatchTokenFile reports whether a file of this name is a token file by the
// pattern of TokenFolder.
func MatchTokenFile(pattern, name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	if pattern == "" {
		return strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml")
	}
	matched, _ := filepath.Match(pattern, name)
	return matched
}

// readTokenFile reads and checks one file.
func readTokenFile(path string) (map[string]Token, error) {
	data, err := readFile(path, "let it be a file that can be read, or remove it")
	if err != nil {
		return nil, err
	}
	alone := Config{file: path}
	r := reader{file: path, config: &alone}
	root, err := r.document(data, "tokens")
	switch {
	case err != nil:
		return nil, err
	case root.yaml == nil: // perhaps it is being written
		return nil, &Error{path, "holds no tokens", "write NAME: {wechat: {...}} lines, or remove the file"}
	}
	alone.Tokens = r.tokens(root)
	if r.err != nil {
		return nil, r.err
	}
	anchorSecrets(filepath.Dir(path), alone.Tokens)
	if err := alone.checkTokens(); err != nil {
		return nil, err
	}
	return alone.Tokens, alone.checkShared()
}

// merge adds the tokens of the files to those of the config. Where two files
// have the same name or account, the one that is to blame is refused as a
// whole: what was there before and has not changed counts most.
func (c *Config) merge(files []*tokenFile) error {
	for {
		m := newMerger(c)
		again := false
		for _, f := range bySeniority(files) {
			err := m.add(f)
			if err == nil {
				continue
			}
			if f.err != nil || f.unchanged() {
				return err // it is the config file that has changed
			}
			f.refuse(err)
			again = true
		}
		if !again {
			c.Tokens = m.tokens
			for _, f := range files {
				if f.err != nil {
					c.Refused = append(c.Refused, f.err)
				}
			}
			return nil
		}
	}
}

// bySeniority puts first the files that keep or have what was there before,
// then those that have changed, then new ones.
func bySeniority(files []*tokenFile) []*tokenFile {
	rank := func(f *tokenFile) int {
		switch {
		case f.err != nil:
			return 0
		case f.unchanged():
			return 1
		case f.before != nil:
			return 2
		}
		return 3
	}
	return slices.SortedStableFunc(slices.Values(files), func(a, b *tokenFile) int { return rank(a) - rank(b) })
}

// merger joins tokens of several files.
type merger struct {
	tokens   map[string]Token
	accounts map[account]string // the name of each account's token
}

// newMerger begins with the tokens of the config file itself.
func newMerger(c *Config) *merger {
	m := &merger{tokens: make(map[string]Token, len(c.Tokens)), accounts: make(map[account]string)}
	for name, t := range c.Tokens {
		m.tokens[name] = t
		for _, o := range t.origins() { // Check has not seen it yet
			_ = o.check(&Config{}, "")
			m.accounts[o.account()] = name
		}
	}
	return m
}

// add adds all tokens of a file, or none.
func (m *merger) add(f *tokenFile) error {
	c := Config{Tokens: f.tokens} // for the places in errors
	for _, name := range slices.Sorted(maps.Keys(f.tokens)) {
		if other, taken := m.tokens[name]; taken {
			return c.wrong("tokens."+name, "stands in "+other.place.file+", too", "keep one of them")
		}
		if other, taken := m.accounts[f.tokens[name].origin().account()]; taken {
			return c.sameAccount(name, "tokens."+other+" in "+m.tokens[other].place.file)
		}
	}
	for name, t := range f.tokens {
		m.tokens[name] = t
		m.accounts[t.origin().account()] = name
	}
	return nil
}
