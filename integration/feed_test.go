package integration_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// What other processes do reaches those who look at one of them, and the
// processes know of each other. Somebody who looks holds up no exit.
func TestFeedAndRoster(t *testing.T) {
	for kind, newWorld := range map[string]func(testing.TB) *world{
		"redis": func(t testing.TB) *world { return newWorld(t, wechattest.Config{}) },
		"file":  func(t testing.TB) *world { return newFileWorld(t, wechattest.Config{}) },
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			first := w.start("first", "serve", "--listen", "127.0.0.1:0")
			url := "http://" + first.prints(&first.stderr, regexp.MustCompile(`msg=serving .*listen=(127\.0\.0\.1:\d+)`))
			second := w.start("second", "serve")
			w.token("reader") // so that there is one
			w.wantInstances(url, "first", "second")

			response, err := http.Get(url + "/v1/events")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			events := make(chan string, 100)
			go func() {
				defer close(events)
				for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
					if data, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
						events <- data
					}
				}
			}()
			<-events // hello
			w.must("operator", "rotate", "shop")
			seen := map[string]int{}
			for seen["minted by operator"] == 0 {
				var e struct{ Event, By string }
				if err := json.Unmarshal([]byte(signalledWith(t, "an event", events)), &e); err != nil {
					t.Fatal(err)
				}
				seen[e.Event+" by "+e.By]++
			}
			if seen["rotation asked by operator"] != 1 || seen["minted by operator"] != 1 {
				t.Errorf("seen were %v", seen)
			}

			first.signal(syscall.SIGTERM)
			if code := first.wait(); code != 0 || strings.Contains(first.stderr.String(), "broken off") {
				t.Errorf("exit code %d with somebody looking:\n%s", code, first.stderr.String())
			}
			third := w.start("third", "serve", "--listen", "127.0.0.1:0")
			url = "http://" + third.prints(&third.stderr, regexp.MustCompile(`msg=serving .*listen=(127\.0\.0\.1:\d+)`))
			w.wantInstances(url, "second", "third") // the first has left
			second.signal(syscall.SIGTERM)
			if code := second.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			w.wantInstances(url, "third")
		})
	}
}

// signalledWith is the next value of a channel.
func signalledWith[T any](t testing.TB, what string, channel <-chan T) T {
	t.Helper()
	select {
	case value, ok := <-channel:
		if ok {
			return value
		}
		t.Fatalf("no more: %s", what)
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

// wantInstances waits until these processes are alive.
func (w *world) wantInstances(url string, names ...string) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%v are alive", names), func() error {
		status, text := fetch(url + "/v1/overview")
		var overview struct {
			Instances []struct {
				Instance string
				Mints    bool
				Tokens   int
			}
		}
		if err := json.Unmarshal([]byte(text), &overview); err != nil || status != http.StatusOK {
			return errors.Join(err, expect("status", status, http.StatusOK))
		}
		var got []string
		for _, i := range overview.Instances {
			if !i.Mints || i.Tokens != 1 {
				return fmt.Errorf("an instance is %+v", i)
			}
			got = append(got, i.Instance)
		}
		return expect("instances", strings.Join(got, " "), strings.Join(names, " "))
	})
}
