package dashboard_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/dashboard"
	"github.com/mintonce/mintonce/internal/statusview"
)

func get(path string) (*httptest.ResponseRecorder, bool) {
	w := httptest.NewRecorder()
	served := dashboard.Serve(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w, served
}

// TestParts: every part is served as what it is, under the policy, and nothing
// else is.
func TestParts(t *testing.T) {
	types := map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml"}
	parts, err := filepath.Glob("assets/*")
	if err != nil || len(parts) < 10 {
		t.Fatalf("%v, %v", parts, err)
	}
	for _, part := range parts {
		path := dashboard.Folder + filepath.Base(part)
		if filepath.Ext(part) == ".html" {
			path = "/"
		}
		w, served := get(path)
		want, _ := os.ReadFile(part)
		if h := w.Header(); !served || w.Body.String() != string(want) || h.Get("Content-Type") != types[filepath.Ext(part)] || h.Get("Content-Security-Policy") != dashboard.Policy {
			t.Errorf("%s: served %t, %v", path, served, h)
		}
	}
	for _, path := range []string{"/index.html", "/dashboard/", "/dashboard/index.html", "/dashboard/none.js", "/dashboard/../dashboard.go", "/main.js", "/dashboard/x/main.js", "/dashboard/assets"} {
		if w, served := get(path); served || w.Body.Len() > 0 {
			t.Errorf("%s is served: %s", path, w.Body)
		}
	}
}

// TestNothingInline: the policy would refuse it, and others need not be asked.
func TestNothingInline(t *testing.T) {
	w, _ := get("/")
	page := w.Body.String()
	for _, forbidden := range []string{"<style", " style=", " onclick=", " onload=", "javascript:", "http:", "https:", "//"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page has %s", forbidden)
		}
	}
	for _, tag := range regexp.MustCompile(`<script[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(tag, ` src="/dashboard/`) {
			t.Errorf("the page has %s", tag)
		}
	}
	for name, text := range sources(t) {
		for _, forbidden := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "://"} {
			if strings.Contains(text, forbidden) {
				t.Errorf("%s has %s", name, forbidden)
			}
		}
	}
}

// sources are the scripts and the style.
func sources(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"*.js", "*.css"} {
		files, err := fs.Glob(os.DirFS("assets"), pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile("assets/" + file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(text)
		}
	}
	return all
}

func words(t *testing.T, language string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("assets/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]string
	if err := json.Unmarshal(data, &words); err != nil {
		t.Fatal(err)
	}
	return words
}

var gaps = regexp.MustCompile(`\{\w+\}`)

// TestLanguages: both say the same with the same values. Chinese has no forms
// for one, save where the sentence is another.
func TestLanguages(t *testing.T) {
	english, chinese := words(t, "en"), words(t, "zh")
	for _, key := range slices.Sorted(maps.Keys(english)) {
		text, ok := chinese[key]
		if !ok {
			if !strings.HasSuffix(key, ".one") {
				t.Errorf("%s is missing in Chinese", key)
			}
			continue
		}
		a, b := gaps.FindAllString(english[key], -1), gaps.FindAllString(text, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !strings.HasSuffix(key, ".one") && !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s has %v in English and %v in Chinese", key, a, b)
		}
	}
	for key := range chinese {
		if _, ok := english[key]; !ok {
			t.Errorf("%s is missing in English", key)
		}
	}
}

// TestWordsThatAreUsed: what scripts and page ask for is there.
func TestWordsThatAreUsed(t *testing.T) {
	english := words(t, "en")
	text, _ := get("/")
	used := regexp.MustCompile(`data-t(?:-label|-placeholder)?="([^"]+)"`).FindAllStringSubmatch(text.Body.String(), -1)
	for _, script := range sources(t) {
		used = append(used, regexp.MustCompile(`\bt\('([^']+)'`).FindAllStringSubmatch(script, -1)...)
	}
	if len(used) < 60 {
		t.Fatalf("only %d uses were found", len(used))
	}
	for _, match := range used {
		if english[match[1]] == "" {
			t.Errorf("there is no text for %s", match[1])
		}
	}
}

// TestWordsOfTheServer: whatever the server can say has a text in both
// languages. A new kind of event belongs into en.json and zh.json.
func TestWordsOfTheServer(t *testing.T) {
	var keys []string
	constants := func(file, pattern, prefix string) {
		t.Helper()
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1)
		if len(found) < 2 {
			t.Fatalf("%s has %d of %s", file, len(found), pattern)
		}
		for _, match := range found {
			keys = append(keys, prefix+match[1])
		}
	}
	constants("../../coordinator/event.go", `EventKind = "([^"]+)"`, "event.")
	constants("../../coordinator/plan.go", `(?m)^\tReason\w+ += "([^"]+)"`, "reason.")
	constants("../../internal/statusview/trouble.go", `Why = "([^"]+)"`, "trouble.")
	for _, class := range []coordinator.Class{coordinator.Transient, coordinator.Quota, coordinator.Operator, coordinator.Configuration} {
		keys = append(keys, "class."+string(class))
	}
	constants("../../coordinator/transitions.go", `Verdict = "([^"]+)"`, "reason.")
	for _, kind := range []coordinator.Kind{coordinator.LastMintWins, coordinator.Idempotent, coordinator.Rotating} {
		keys = append(keys, "kind."+kind.String())
	}
	for _, action := range []coordinator.Action{coordinator.Rest, coordinator.Await, coordinator.Blocked, coordinator.Mint} {
		keys = append(keys, "next."+action.String())
	}
	for _, state := range []string{"live", "doubted", "minting", "missing", "expired", "failing", "unknown"} {
		keys = append(keys, "state."+state)
	}
	for _, level := range []statusview.Level{statusview.Warning, statusview.Critical} {
		keys = append(keys, "verdict."+string(level))
	}
	for _, language := range []string{"en", "zh"} {
		all := words(t, language)
		for _, key := range keys {
			if all[key] == "" {
				t.Errorf("%s.json has no text for %s", language, key)
			}
		}
	}
}
