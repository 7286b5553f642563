package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/internal/redistest"
)

// audit is the end of every test: it ends the processes, which has to go well,
// and looks for secrets wherever they must not be.
func (w *world) audit() {
	w.provider.Clear()
	w.endProcesses()
	if w.t.Skipped() {
		return
	}
	for _, leak := range w.leaks() {
		w.t.Error(leak)
	}
}

func (w *world) endProcesses() {
	for _, p := range w.processes {
		if p.running() {
			p.cmd.Process.Signal(syscall.SIGCONT)
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, p := range w.processes {
		code := p.wait()
		if code != 0 && !p.mayFail {
			w.t.Errorf("exit code %d\n%s", code, p.told())
		}
		for _, disaster := range []string{"DATA RACE", "panic:", "fatal error:", "goroutine "} {
			if strings.Contains(p.stderr.String(), disaster) {
				w.t.Errorf("%s\n%s", disaster, p.told())
			}
		}
	}
	if w.t.Failed() {
		const enough = 12
		for _, p := range w.processes[max(0, len(w.processes)-enough):] {
			w.t.Log(p.told())
		}
	}
}

// evidence is a text in which no secret may be.
type evidence struct{ where, text string }

// leaks says where a secret was found, without telling it.
func (w *world) leaks() []string {
	var all []evidence
	for _, p := range w.processes {
		all = append(all, evidence{p.name + ": arguments", p.args}, evidence{p.name + ": stderr", p.stderr.String()})
		out := p.stdout.String()
		if p.tokensOnStdout {
			out = w.withoutTokens(out)
		}
		all = append(all, evidence{p.name + ": stdout", out})
	}
	for i, answer := range w.answers {
		all = append(all, evidence{fmt.Sprintf("HTTP answer %d", i), answer})
	}
	for _, server := range w.servers() {
		kept, err := redisEvidence(server.Addr(), w.password)
		if err != nil {
			return []string{"the audit cannot read Redis: " + err.Error()}
		}
		all = append(all, kept...)
	}
	for _, dir := range append(w.folders, w.home) {
		kept, err := fileEvidence(dir)
		if err != nil {
			return []string{"the audit cannot read " + dir + ": " + err.Error()}
		}
		all = append(all, kept...)
	}
	secrets := map[string]string{secret: "the AppSecret"}
	if w.password != "" {
		secrets[w.password] = "the password of Redis"
	}
	for _, token := range w.provider.tokens() {
		secrets[token] = "a token"
	}
	return search(all, secrets)
}

// servers are those of Redis.
func (w *world) servers() []*redistest.Server {
	switch {
	case w.cluster != nil:
		return w.cluster.Masters
	case w.standby != nil:
		return []*redistest.Server{w.redis, w.standby}
	case w.redis != nil:
		return []*redistest.Server{w.redis}
	}
	return nil
}

// withoutTokens takes the tokens out of the stdout that is for them, so that
// the secret is still looked for.
func (w *world) withoutTokens(text string) string {
	for _, token := range w.provider.tokens() {
		text = strings.ReplaceAll(text, token, "")
	}
	return text
}

// search finds secrets in the evidence, in every form that they take in URLs
// and JSON. secrets says what each of them is.
func search(all []evidence, secrets map[string]string) []string {
	forbidden := make(map[string]string)
	for secret, what := range secrets {
		for _, form := range forms(secret) {
			forbidden[form] = what
		}
	}
	var found []string
	for _, e := range all {
		for form, what := range forbidden {
			if strings.Contains(e.text, form) {
				found = append(found, e.where+" holds "+what)
			}
		}
	}
	return found
}

func forms(text string) []string {
	quoted, _ := json.Marshal(text) // a string always marshals
	return []string{text, url.QueryEscape(text), url.PathEscape(text), strings.Trim(string(quoted), `"`), strings.Trim(fmt.Sprintf("%q", text), `"`)}
}

// redisEvidence is all that a Redis holds, apart from the field that is for
// the token.
func redisEvidence(addr, password string) ([]evidence, error) {
	client := redis.NewClient(&redis.Options{Addr: addr, Password: password})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if client.Ping(ctx).Err() != nil {
		return nil, nil // the test has stopped it, and with that its data are gone
	}
	var all []evidence
	keys := client.Scan(ctx, 0, "*", 100).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		kept, err := keyEvidence(ctx, client, key)
		if err != nil {
			return nil, err
		}
		all = append(all, evidence{"Redis: a key", key}, evidence{"Redis: the value of " + key, kept})
	}
	return all, keys.Err()
}

func keyEvidence(ctx context.Context, client *redis.Client, key string) (string, error) {
	switch kind := client.Type(ctx, key).Val(); kind {
	case "string":
		return client.Get(ctx, key).Result()
	case "hash":
		fields, err := client.HGetAll(ctx, key).Result()
		delete(fields, "value")
		return fmt.Sprint(fields), err
	case "stream":
		entries, err := client.XRange(ctx, key, "-", "+").Result()
		return fmt.Sprint(entries), err
	case "zset": // killed processes have not left it
		members, err := client.ZRange(ctx, key, 0, -1).Result()
		return fmt.Sprint(members), err
	case "none": // a lock that has lapsed
		return "", nil
	default:
		return "", fmt.Errorf("%s is of a type that mintonce does not use: %s", key, kind)
	}
}

// fileEvidence is all that a folder holds, apart from the field that is for
// the token. Only its user may read it.
func fileEvidence(dir string) ([]evidence, error) {
	var all []evidence
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := string(data)
		var record map[string]string
		if strings.HasSuffix(path, ".json") && json.Unmarshal(data, &record) == nil && record["value"] != "" {
			text = strings.Replace(text, record["value"], "", 1)
			if info, err := entry.Info(); err == nil && info.Mode().Perm() != 0o600 {
				return fmt.Errorf("%s has permissions %o", path, info.Mode().Perm())
			}
		}
		all = append(all, evidence{path, path + "\n" + text})
		return nil
	})
	return all, err
}

// TestAuditFindsLeaks shows that the audit is not blind.
func TestAuditFindsLeaks(t *testing.T) {
	const token = "91_abc-DEF"
	tests := map[string]struct {
		text string
		want int
	}{
		"nothing":            {"time=now msg=minted fingerprint=0123", 0},
		"the secret":         {"secret is " + secret, 1},
		"in a URL":           {"GET /cgi-bin/token?secret=" + url.QueryEscape(secret), 1},
		"in JSON":            {`{"secret":"s3cret/of+the\u0026app=0123456789\u003cabcdef\u003e"}`, 1},
		"a token":            {"token " + token + " is live", 1},
		"both":               {token + secret, 2},
		"part of a token":    {"91_abc", 0},
		"the empty evidence": {"", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := make(map[string]bool)
			for _, leak := range search([]evidence{{"there", test.text}}, map[string]string{secret: "the secret", token: "the token"}) {
				found[leak] = true
			}
			if len(found) != test.want {
				t.Errorf("found %v, want %d", found, test.want)
			}
		})
	}
}
