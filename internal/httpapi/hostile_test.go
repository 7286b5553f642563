package httpapi_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/pipetest"
)

// TestPathTricks: a path that is not written as it should be is no path, with a
// key and without, and nothing of its query comes back.
func TestPathTricks(t *testing.T) {
	f := live()
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f, "other": live()}, Clients: clients})
	for _, path := range []string{
		"//v1/tokens/shop", "/v1//tokens/shop", "/v1/tokens//shop", "/v1/./tokens/shop", "/v1/tokens/../tokens/shop", "/v1/tokens/other/../shop",
		"/v1/tokens/%2e%2e/tokens/shop", "/v1/tokens/x%2f..%2f..%2fstatus", "/../v1/tokens/shop", "/v1/tokens/shop/", "/v1/tokens/shop/rotate/", "/v1/tokens/",
		"/v1/tokens", "/V1/tokens/shop", "/v1%2ftokens%2fshop", "/v1/tokens/shop;x/rotate", "/v1/tokens/shop/rotate/x", "/.env", "/v1/tokens/shop/report/../rotate",
	} {
		for _, method := range []string{"GET", "POST"} {
			for _, key := range []string{"", operatorKey, shopKey} {
				w := request{method: method, path: path + "?echo=" + secretToken, key: key}.send(t, handler)
				if w.Code == http.StatusOK || w.Code >= 500 || w.Code/100 == 3 {
					t.Errorf("%s %s: %d %v %s", method, path, w.Code, w.Header(), w.Body)
				}
				kind := decode(t, w)["type"].(string)
				wantProblem(t, w, w.Code, strings.TrimPrefix(kind, "urn:mintonce:problem:"))
				if w.Header().Get("Location") != "" {
					t.Errorf("%s %s: redirects to %s", method, path, w.Header().Get("Location"))
				}
			}
		}
	}
	for _, name := range []string{"shop%2f", "%2fshop", "sh%6fp%00", "%ff", "%0d%0aSet-Cookie:x", "..%2f", strings.Repeat("x", 4000), "*", "shop%20", "SHOP"} {
		w := request{method: "GET", path: "/v1/tokens/" + name, key: shopKey}.send(t, handler)
		if w.Code != http.StatusForbidden && w.Code != http.StatusNotFound || w.Header().Get("Set-Cookie") != "" || w.Body.Len() > 1000 {
			t.Errorf("%.40s: %d %.300s", name, w.Code, w.Body)
		}
		wantProblem(t, w, w.Code, strings.TrimPrefix(decode(t, w)["type"].(string), "urn:mintonce:problem:"))
	}
	if f.rotated != 0 || len(f.reported) != 0 {
		t.Error("it acted all the same")
	}
}

// TestStrangersLearnNothing: whoever has no key gets the same answer to the
// byte, for tokens that there are and for others; and so does whoever has a wrong
// one.
func TestStrangersLearnNothing(t *testing.T) {
	answers := map[bool]map[string]bool{true: {}, false: {}} // by whether there was a key
	for _, credentials := range []map[string]httpapi.Credential{{"shop": live()}, {}, merchants(100, live())} {
		for _, key := range []string{"", "guess", digest(shopKey), shopKey[1:], shopKey + "x", strings.ToUpper(shopKey)} {
			for _, q := range []request{
				{method: "GET", path: "/v1/tokens/shop"}, {method: "GET", path: "/v1/tokens/none"}, {method: "GET", path: "/v1/status"},
				{method: "POST", path: "/v1/tokens/shop/rotate"}, {method: "POST", path: "/v1/tokens/none/rotate"},
				{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"old"}`}, {method: "POST", path: "/v1/tokens/shop/report", body: "["},
			} {
				q.key = key
				// A new handler each time, because wrong keys are counted.
				w := q.send(t, httpapi.New(httpapi.Config{Credentials: credentials, Clients: clients}))
				answers[key != ""][fmt.Sprint(w.Code, w.Header(), w.Body)] = true
			}
		}
	}
	for keyed, all := range answers {
		if len(all) != 1 {
			t.Errorf("%d different answers, with a key %t: %v", len(all), keyed, all)
		}
		for text := range all {
			if strings.Contains(text, "this key is not known") != keyed {
				t.Errorf("with a key %t: %s", keyed, text)
			}
		}
	}
}

// Of tokens that are not its own, a client learns nothing either.
func TestClientsLearnNothingOfOthers(t *testing.T) {
	answers := make(map[string]bool)
	for _, credentials := range []map[string]httpapi.Credential{{"shop": live()}, {"shop": live(), "secret": live()}} {
		for _, path := range []string{"/v1/tokens/secret", "/v1/tokens/secret/report", "/v1/tokens/secret/rotate"} {
			method := "POST"
			if strings.HasSuffix(path, "secret") {
				method = "GET"
			}
			w := request{method: method, path: path, key: shopKey}.send(t, httpapi.New(httpapi.Config{Credentials: credentials, Clients: clients}))
			answers[fmt.Sprint(w.Code, w.Header(), w.Body)] = true
		}
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
}

// serve is the API with the bounds of NewServer, for a bubble.
func serve(t *testing.T) (*pipetest.Listener, *http.Client) {
	t.Helper()
	listener := pipetest.Listen()
	server := httpapi.NewServer(httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}, Clients: clients}), slog.New(slog.DiscardHandler))
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener, &http.Client{Transport: &http.Transport{DialContext: listener.Dial}}
}

func dial(t *testing.T, listener *pipetest.Listener) net.Conn {
	t.Helper()
	conn, err := listener.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantServed: somebody with a key is served.
func wantServed(t *testing.T, client *http.Client, when string) {
	t.Helper()
	r, _ := http.NewRequest("GET", "http://127.0.0.1/v1/tokens/shop", nil)
	r.Header.Set("Authorization", "Bearer "+shopKey)
	response, err := client.Do(r)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v", when, response, err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

// TestHostileConnections: what no HTTP client sends costs the one who sends it.
func TestHostileConnections(t *testing.T) {
	head := "POST /v1/tokens/shop/report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + shopKey + "\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{
		"garbage":                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 100),
		"no version":              "GET /v1/tokens/shop\r\n\r\n",
		"two lengths":             head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n[[[[[[",
		"a length below zero":     head + "Content-Length: -1\r\n\r\n",
		"a huge length":           head + "Content-Length: 99999999999999999999\r\n\r\n",
		"a body that never comes": head + "Content-Length: 100\r\n\r\n{",
		"a chunk without end":     head + "Transfer-Encoding: chunked\r\n\r\n10000000\r\n" + strings.Repeat("x", 80<<10),
		"both lengths":            head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n[]",
		"a large head":            head + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"very many heads":         head + strings.Repeat("X: y\r\n", 10_000) + "\r\n",
		"a long path":             "GET /v1/tokens/" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"a head with a break":     "GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nX\x00: y\r\n\r\n",
		"a request without end":   "GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nX:",
		"a proxy's":               "GET http://elsewhere.example/v1/tokens/shop HTTP/1.1\r\nHost: x\r\n\r\n",
		"a tunnel":                "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"a deep body":             head + "Content-Length: 60000\r\n\r\n" + strings.Repeat("[", 60_000),
		"an upgrade":              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener, client := serve(t)
				conn := dial(t, listener)
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(3 * time.Minute)) // longer than an idle one is kept
				go io.WriteString(conn, sent)                     // the server may hang up in between
				answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
				if text := string(answer); err != nil || strings.Contains(text, secretToken) || strings.HasPrefix(text, "HTTP/1.1 2") || strings.HasPrefix(text, "HTTP/1.1 500") {
					t.Errorf("the answer is %.400q, %v", text, err)
				}
				wantServed(t, client, "afterwards")
			})
		})
	}
}

// TestSlowClients: those who send a byte now and then keep nobody else waiting,
// and are cut off. None of them leaves anything behind, or the bubble would not
// end.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, client := serve(t)
		began := time.Now()
		var slow sync.WaitGroup
		for i := range 200 {
			conn := dial(t, listener)
			slow.Go(func() {
				defer conn.Close()
				conn.SetDeadline(began.Add(time.Minute))
				request := "GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\n"
				if i%2 == 0 {
					request = "POST /v1/tokens/shop/report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + shopKey + "\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
				}
				io.WriteString(conn, request)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if _, err := io.Copy(io.Discard, conn); err != nil {
						t.Errorf("client %d is not cut off: %v", i, err)
					}
				}()
				for {
					select {
					case <-ended:
						return
					case <-time.After(50 * time.Millisecond):
						io.WriteString(conn, "x")
					}
				}
			})
		}
		for range 50 {
			asked := time.Now()
			wantServed(t, client, "meanwhile")
			if took := time.Since(asked); took != 0 {
				t.Errorf("somebody waits for %s", took)
			}
			time.Sleep(300 * time.Millisecond)
		}
		slow.Wait()
	})
}
