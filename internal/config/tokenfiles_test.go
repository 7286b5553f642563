package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

// step is what is written before the config is read again. A file without text
// is removed.
type step struct {
	files   map[string]string
	want    string   // the tokens, each with its AppID
	refused []string // part of each refusal
	fails   string   // part of the error of the whole config
}

func token(name, appID string) string {
	return fmt.Sprintf("%s: {wechat: {appid: %s, secret_file: %s.secret}}\n", name, appID, name)
}

const glob = "tokens_from: 'tokens.d/*.yml'\n"

func TestTokenFiles(t *testing.T) {
	tests := map[string][]step{
		"a glob": {{
			files: map[string]string{
				"m.yml": glob + "tokens: {main: {wechat: {appid: wx0}}}\n", "tokens.d/a.yml": token("a", "wx1") + token("b", "wx2"), "tokens.d/b.yml": token("c", "wx3"),
				"tokens.d/.#b.yml": "half", "tokens.d/b.yml~": "half", "tokens.d/notes.txt": "half",
			},
			want: "a=wx1 b=wx2 c=wx3 main=wx0",
		}},
		"a folder": {{
			files: map[string]string{"m.yml": "tokens_from: tokens.d\n", "tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yaml": token("b", "wx2"), "tokens.d/c.json": "half"},
			want:  "a=wx1 b=wx2",
		}},
		"one file": {{
			files: map[string]string{"m.yml": "tokens_from: tokens.d/a.yml\n", "tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yml": token("b", "wx2")},
			want:  "a=wx1",
		}},
		"an empty folder": {{files: map[string]string{"m.yml": glob, "tokens.d/.keep": "x"}}},
		"no folder":       {{files: map[string]string{"m.yml": "tokens_from: nowhere/*.yml\n"}, fails: "m.yml:1: tokens_from names a folder that cannot be read: "}},
		"a bad pattern":   {{files: map[string]string{"m.yml": "tokens_from: 'tokens.d/[.yml'\n"}, fails: "m.yml:1: tokens_from is not a pattern"}},
		"folders by glob": {{files: map[string]string{"m.yml": "tokens_from: '*/a.yml'\n", "tokens.d/a.yml": "x"}, fails: "m.yml:1: tokens_from is not a pattern"}},

		"a bad file at the start": {{
			files:   map[string]string{"m.yml": glob, "tokens.d/a.yml": "a: {wechat: {appidd: wx1}}\n", "tokens.d/b.yml": token("b", "wx2")},
			want:    "b=wx2",
			refused: []string{"tokens.d/a.yml:1: tokens.a.wechat.appidd is not a key that mintonce knows: did you mean appid?"},
		}},
		"a bad file keeps its tokens": {
			{files: map[string]string{"m.yml": glob, "tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yml": token("b", "wx2")}, want: "a=wx1 b=wx2"},
			{files: map[string]string{"tokens.d/a.yml": "a: {\n", "tokens.d/b.yml": token("c", "wx3")}, want: "a=wx1 c=wx3", refused: []string{"a.yml:"}},
			{files: map[string]string{"tokens.d/b.yml": token("b", "wx4")}, want: "a=wx1 b=wx4", refused: []string{"a.yml:"}}, // still
			{files: map[string]string{"tokens.d/a.yml": token("a", "wx5")}, want: "a=wx5 b=wx4"},
			{files: map[string]string{"tokens.d/a.yml": ""}, want: "b=wx4"},
		},
		"a file that is being written": {
			{files: map[string]string{"m.yml": glob, "tokens.d/a.yml": token("a", "wx1")}, want: "a=wx1"},
			{files: map[string]string{"tokens.d/a.yml": "\n"}, want: "a=wx1", refused: []string{"a.yml holds no tokens: write NAME"}},
			{files: map[string]string{"tokens.d/a.yml": "# a\n"}, want: "a=wx1", refused: []string{"a.yml holds comments only"}},
		},
		"the wrong form": {{
			files:   map[string]string{"m.yml": glob, "tokens.d/a.yml": "tokens:\n  a: {wechat: {appid: wx1}}\n", "tokens.d/b.yml": "b: {wechat: {appid: 'wx 1'}}\n", "tokens.d/c.yml": "c: {wechat: {appid: wx1}}\nd: {wechat: {appid: wx1}}\n"},
			refused: []string{"a.yml:2: tokens.tokens.a is not a key", "b.yml:1: tokens.b.wechat.appid has characters that no AppID has", "c.yml:2: tokens.d is the same account in the same mode as tokens.c"},
		}},
		"a name in two new files": {{
			files:   map[string]string{"m.yml": glob, "tokens.d/a.yml": token("x", "wx1"), "tokens.d/b.yml": token("y", "wx3") + token("x", "wx2")},
			want:    "x=wx1",
			refused: []string{"tokens.d/b.yml:2: tokens.x stands in ", "tokens.d/a.yml, too: keep one of them"},
		}},
		"a name of the config file": {{
			files:   map[string]string{"m.yml": glob + "tokens: {x: {wechat: {appid: wx0}}}\n", "tokens.d/b.yml": token("x", "wx2")},
			want:    "x=wx0",
			refused: []string{"b.yml:1: tokens.x stands in ", "m.yml, too"},
		}},
		"an account in two files": {{
			files:   map[string]string{"m.yml": glob, "tokens.d/a.yml": token("x", "wx1"), "tokens.d/b.yml": token("y", "wx1")},
			want:    "x=wx1",
			refused: []string{"b.yml:1: tokens.y is the same account in the same mode as tokens.x in ", "a.yml"},
		}},
		"a new file takes nothing away": {
			{files: map[string]string{"m.yml": glob, "tokens.d/b.yml": token("x", "wx1")}, want: "x=wx1"},
			{files: map[string]string{"tokens.d/a.yml": token("x", "wx2") + token("y", "wx3")}, want: "x=wx1", refused: []string{"a.yml:1: tokens.x stands in ", "b.yml, too"}},
		},
		"a changed file takes nothing away": {
			{files: map[string]string{"m.yml": glob, "tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yml": token("b", "wx2")}, want: "a=wx1 b=wx2"},
			{files: map[string]string{"tokens.d/a.yml": token("b", "wx3")}, want: "a=wx1 b=wx2", refused: []string{"a.yml:1: tokens.b stands in "}},
		},
		"nor does the config file": {
			{files: map[string]string{"m.yml": glob, "tokens.d/b.yml": token("b", "wx2")}, want: "b=wx2"},
			{files: map[string]string{"m.yml": glob + "tokens: {b: {wechat: {appid: wx0}}}\n"}, fails: "b.yml:1: tokens.b stands in "},
		},
		"a token moves": {
			{files: map[string]string{"m.yml": glob, "tokens.d/a.yml": token("a", "wx1") + token("b", "wx2"), "tokens.d/c.yml": token("c", "wx3")}, want: "a=wx1 b=wx2 c=wx3"},
			{files: map[string]string{"tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yml": token("b", "wx2")}, want: "a=wx1 b=wx2 c=wx3"},
			{files: map[string]string{"tokens.d/c.yml": "", "m.yml": glob + "tokens: {c: {wechat: {appid: wx3}}}\n"}, want: "a=wx1 b=wx2 c=wx3"},
		},
		"what a refused file keeps is taken": {
			{files: map[string]string{"m.yml": glob, "tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yml": token("b", "wx2")}, want: "a=wx1 b=wx2"},
			{files: map[string]string{"tokens.d/a.yml": "a: {\n", "tokens.d/b.yml": token("a", "wx7")}, want: "a=wx1 b=wx2", refused: []string{"a.yml:", "b.yml:1: tokens.a stands in "}},
		},
		"tokens change places": {
			{files: map[string]string{"m.yml": glob, "tokens.d/a.yml": token("a", "wx1"), "tokens.d/b.yml": token("b", "wx2")}, want: "a=wx1 b=wx2"},
			{files: map[string]string{"tokens.d/a.yml": token("b", "wx2"), "tokens.d/b.yml": token("a", "wx1")}, want: "a=wx1 b=wx2"},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "tokens.d"), 0o700); err != nil {
				t.Fatal(err)
			}
			var before *config.Config
			for i, step := range steps {
				before = step.check(t, i, dir, before)
			}
		})
	}
}

func (s step) check(t *testing.T, i int, dir string, before *config.Config) *config.Config {
	t.Helper()
	for file, text := range s.files {
		path := filepath.Join(dir, file)
		if text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		write(t, path, text, 0o600)
	}
	c, err := config.ReadAgain(filepath.Join(dir, "m.yml"), before)
	if err == nil {
		err = c.Check()
	}
	if s.fails != "" {
		if err == nil || !strings.Contains(err.Error(), s.fails) {
			t.Errorf("step %d: %v, want %s", i+1, err, s.fails)
		}
		return before
	}
	if err != nil {
		t.Fatalf("step %d: %v", i+1, err)
	}
	var got, refused []string
	for _, name := range slices.Sorted(maps.Keys(c.Tokens)) {
		got = append(got, name+"="+c.Tokens[name].WeChat.AppID)
	}
	for _, err := range c.Refused {
		refused = append(refused, err.Error())
	}
	if strings.Join(got, " ") != s.want {
		t.Errorf("step %d: tokens %s, want %s", i+1, got, s.want)
	}
	all := strings.Join(refused, "\n")
	for _, want := range s.refused {
		if !strings.Contains(all, want) {
			t.Errorf("step %d: refused:\n%s\nwant %s", i+1, all, want)
		}
	}
	if (len(s.refused) == 0) != (len(refused) == 0) || strings.Contains(all, "holds") != strings.Contains(strings.Join(s.refused, ""), "holds") {
		t.Errorf("step %d: refused:\n%s", i+1, all)
	}
	return &c
}

func TestTokenFilesSecrets(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tokens.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "m.yml"), glob+"tokens: {main: {wechat: {appid: wx0, secret_file: main.secret}}}\n", 0o600)
	write(t, filepath.Join(dir, "tokens.d/a.yml"), token("a", "wx1"), 0o600)
	c, err := config.Read(filepath.Join(dir, "m.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Tokens["a"].WeChat.SecretFile, filepath.Join(dir, "tokens.d/a.secret"); got != want {
		t.Errorf("the secret of a is %s, want %s, beside its file", got, want)
	}
	if !c.InTokenFile("a") || c.InTokenFile("main") || c.InTokenFile("none") {
		t.Error("InTokenFile is wrong")
	}
	if _, _, err := c.Source("a", nil); err == nil || !strings.Contains(err.Error(), "tokens.d/a.yml:1: tokens.a.wechat.secret_file cannot be read") {
		t.Errorf("no secret: %v", err)
	}
}

func TestClientPatterns(t *testing.T) {
	text := "tokens: {shop: {wechat: {appid: wx1}}}\nclients: [{name: a, key_sha256: " + digest + ", tokens: %s}]"
	for tokens, want := range map[string]string{
		"[merchant-*]":       "merchant-1 merchant-",
		"['*']":              "shop merchant-1 merchant- other",
		"[shop, merchant-*]": "shop merchant-1 merchant-",
		"[shop]":             "shop",
		"['a[b*']":           "",
		"['a/*']":            "",
	} {
		c, err := config.Parse("c.yml", fmt.Appendf(nil, text, tokens))
		if err == nil {
			err = c.Check()
		}
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "which is not a pattern") {
				t.Errorf("%s: %v", tokens, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tokens, err)
			continue
		}
		var may []string
		for _, name := range []string{"shop", "merchant-1", "merchant-", "other"} {
			if c.Clients[0].MayUse(name) {
				may = append(may, name)
			}
		}
		if got := strings.Join(may, " "); got != want {
			t.Errorf("%s may use %s, want %s", tokens, got, want)
		}
	}
}
