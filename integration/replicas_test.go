package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// remote is a replica in a process of its own, as the test sees it.
type remote struct {
	*process
	w   *world
	url string
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// replicas starts n replicas called NAME1, NAME2 ..., and waits until all of
// them can be asked.
func (w *world) replicas(n int, name string, cfg replicaConfig) []*remote {
	w.t.Helper()
	if cfg.Store == "" {
		cfg.Store = w.store
	}
	cfg.API = w.provider.URL
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	var all []*remote
	for i := range n {
		cfg.Instance = fmt.Sprintf("%s%d", name, i+1)
		text, _ := json.Marshal(cfg) // texts and numbers always marshal
		env := append(w.environment(), replicaVariable+"="+string(text))
		all = append(all, &remote{process: w.note(launch(w.t, cfg.Instance, env, nil, self)), w: w})
	}
	for _, r := range all {
		r.url = r.prints(&r.stdout, listening)
	}
	return all
}

// ask returns the answer of the replica, which must be a good one.
func ask[T any](r *remote, method, path string) (T, error) {
	var value T
	request, err := http.NewRequest(method, r.url+path, nil)
	if err != nil {
		return value, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return value, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return value, err
	}
	if response.StatusCode != http.StatusOK {
		return value, fmt.Errorf("%s: %s", r.name, strings.TrimSpace(string(body)))
	}
	return value, json.Unmarshal(body, &value)
}

// held is what a replica serves.
type held struct {
	Fingerprint string
	Generation  int64
}

// token is the token that the replica serves now.
func (r *remote) token() (held, error) { return ask[held](r, "GET", "/token") }

// mustToken waits for the token like any caller of the library.
func (r *remote) mustToken() held {
	r.t.Helper()
	token, err := r.token()
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// drain waits until the replica has nothing under way.
func (r *remote) drain() {
	r.t.Helper()
	if _, err := ask[string](r, "POST", "/drain"); err != nil {
		r.t.Fatal(err)
	}
}

// tally is what became of the replica's calls.
func (r *remote) tally() tally {
	r.t.Helper()
	counted, err := ask[tally](r, "GET", "/tally")
	if err != nil {
		r.t.Fatal(err)
	}
	return counted
}

// moreCalls waits until every replica has made some more calls.
func moreCalls(t testing.TB, all []*remote) {
	t.Helper()
	const some = 5
	before := make([]int, len(all))
	for i, r := range all {
		before[i] = r.tally().Calls
	}
	for i, r := range all {
		eventually(t, r.name+" makes more calls", func() error {
			if r.tally().Calls < before[i]+some {
				return errNotYet
			}
			return nil
		})
	}
}

// wantNoFailure fails the test for every call that failed, and for a
// generation that went back.
func wantNoFailure(t testing.TB, all []*remote) {
	t.Helper()
	for _, r := range all {
		counted := r.tally()
		if counted.Failed > 0 {
			t.Errorf("%s: %d of %d calls failed, such as %q", r.name, counted.Failed, counted.Calls, counted.How)
		}
		if counted.Back > 0 {
			t.Errorf("%s: the generation that it serves went back %d times", r.name, counted.Back)
		}
		t.Logf("%s: %d calls, the longest took %s", r.name, counted.Calls, counted.Longest.Round(time.Millisecond))
	}
}
