package storeurl_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/storeurl"
)

func TestParse(t *testing.T) {
	tests := []struct{ text, shown, problem string }{
		{"redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0", ""},
		{"redis://user:pw-secret@example.test", "redis://example.test:6379/0", ""},
		{"rediss://:pw-secret@example.test:7000/3", "rediss://example.test:7000/3", ""},
		{"redis+sentinel://a:1,b:2/mymaster/4", "redis+sentinel://a:1,b:2/mymaster/4", ""},
		{"redis+cluster://:pw-secret@a:1,b:2", "redis+cluster://a:1,b:2", ""},
		{"file:/var/lib/mintonce", "file:/var/lib/mintonce", ""},
		{"file:///var/lib/../lib/mintonce/", "file:/var/lib/mintonce", ""},
		{"file:state", "file:state", ""},

		{"", "", "the forms are"},
		{"127.0.0.1:6379", "", "the forms are"},
		{"http://example.test", "", "the forms are"},
		{"redis+other://a:1", "", "the scheme is not known"},
		{"redis://:pw-secret@example.test/one", "", "the database is not a number"},
		{"redis://:pw-secret/@example.test", "", "the password has a character"},
		{"redis:127.0.0.1", "", "lacks // after the first colon: write redis://HOST:PORT/DB"},
		{"redis://ex ample", "", "host 1 is neither"},
		{"redis+sentinel://a:1/my\x1bmaster", "", "the master's name has"},
		{"file:/a\nb", "", "control character"},
		{"redis+sentinel://a:1", "", "the master's name is missing"},
		{"file:", "", "names no folder"},
		{"file://host/dir", "", "write file:/DIR"},
		{"file:~/state", "", "write the whole path"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			u, err := storeurl.Parse(test.text)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Fatalf("error %v, want one with %q", err, test.problem)
				}
				if strings.Contains(err.Error(), "pw-secret") {
					t.Fatalf("the error holds the password: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, shown := range []string{u.String(), fmt.Sprintf("%v", u), fmt.Sprintf("%+v", u), fmt.Sprintf("%#v", u)} {
				if shown != test.shown {
					t.Errorf("shown as %q, want %q", shown, test.shown)
				}
			}
			if u.HasPassword() != strings.Contains(test.text, "pw-secret") {
				t.Errorf("HasPassword is %v", u.HasPassword())
			}
		})
	}
}

func TestBelow(t *testing.T) {
	for text, want := range map[string]string{
		"file:state":         "file:/etc/mintonce/state",
		"file:/var/state":    "file:/var/state",
		"redis://host:1/0":   "redis://host:1/0",
		"file:../mint/state": "file:/etc/mint/state",
	} {
		u, err := storeurl.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Below("/etc/mintonce").String(); got != want {
			t.Errorf("%s below /etc/mintonce is %s, want %s", text, got, want)
		}
	}
}

func TestStateDir(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	for xdg, want := range map[string]string{
		"":         "file:/home/u/.local/state/mintonce",
		"/state":   "file:/state/mintonce",
		"relative": "file:/home/u/.local/state/mintonce",
	} {
		t.Setenv("XDG_STATE_HOME", xdg)
		if u, err := storeurl.StateDir(); err != nil || u.String() != want {
			t.Errorf("with XDG_STATE_HOME %q: %v, %v; want %s", xdg, u, err, want)
		}
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_STATE_HOME", "")
	if _, err := storeurl.StateDir(); err == nil {
		t.Error("without a home folder: no error")
	}
}

func TestCheckPrefix(t *testing.T) {
	for prefix, good := range map[string]bool{
		"": true, "mintonce": true, "prod:eu-1": true, "a.b": true, strings.Repeat("a", 64): true,
		"a b": false, "a/b": false, "..": false, ".": false, "{a}": false, strings.Repeat("a", 65): false,
	} {
		if err := storeurl.CheckPrefix(prefix); (err == nil) != good {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestPrefixSeparatesFileStores(t *testing.T) {
	dir := t.TempDir()
	u, err := storeurl.Parse("file:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "mintonce", "test"} {
		opened, err := u.Open(storeurl.Options{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 1 || filepath.Base(found[0]) != "test" {
		t.Errorf("folder has %v, want test alone", found)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"redis://:pw@h:1/0", "redis+sentinel://a,b/m", "file:/x", "rediss://[::1]:6379", "redis+cluster://a:1,b:2", "file:", "file:./~", "redis://%zz@h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := storeurl.Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		// What is shown names the same store, and so is stable.
		again, err := storeurl.Parse(u.String())
		if err != nil || again.String() != u.String() || again.IsFile() != u.IsFile() {
			t.Errorf("%q is shown as %q, which is %v, %v", text, u, again, err)
		}
	})
}
