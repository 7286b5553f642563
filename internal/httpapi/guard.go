package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// guarded keeps out who has no business here, before anything is read of the
// request but its head.
func (a *api) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		problem := a.admit(r)
		switch {
		case wechatapi.Covers(r):
			a.serveWeChat(w, r, problem)
		case problem != nil:
			problem.write(w)
		case untidy(r.URL.Path):
			notFound().write(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// untidy reports whether a path has empty parts, or parts such as "..", also
// encoded ones. ServeMux would answer it in HTML, with a redirect that repeats
// the query, whatever a client has put there.
func untidy(p string) bool {
	tidy := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && tidy != "/" {
		tidy += "/"
	}
	return p != tidy
}

// admit checks what concerns every path. Which client it is, and what it may
// do, is for may to check.
func (a *api) admit(r *http.Request) *problem {
	if len(a.Clients) == 0 && !throughSocket(r) {
		// Any page that a browser on this machine shows can send requests to
		// loopback addresses, under a name of its own (DNS rebinding).
		if !local(r.RemoteAddr) {
			return forbidden("without clients in the config, this server serves its own machine only")
		}
		if host := hostname(r.Host); !loopback(host) {
			return newProblem("host", http.StatusMisdirectedRequest, "wrong host", "use http://127.0.0.1 or http://localhost: without clients in the config, no other name is served")
		}
	}
	if err := a.cross.Check(r); err != nil {
		return forbidden("a page of another site may not send this request")
	}
	return nil
}

// grant is a token that a caller may do something with.
type grant struct {
	who        caller
	name       string
	credential Credential
}

// may returns the token that the request is about, if the caller has this right
// to it. A client learns nothing of tokens that are not its own, not
// even whether they exist.
func (a *api) may(r *http.Request, right config.Right) (grant, *problem) {
	who, problem := a.authenticate(r)
	if problem != nil {
		return grant{}, problem
	}
	name := r.PathValue("name")
	if c := who.client; c != nil {
		if !c.MayUse(name) {
			return grant{}, forbidden("the client %s has no token called %.64q: see clients in the config", c.Name, name)
		}
		if !c.Has(right) {
			return grant{}, forbidden("the client %s has no right to %s: see clients in the config", c.Name, right)
		}
	}
	credential, ok := a.Credentials[name]
	if !ok {
		return grant{}, unknownToken(name)
	}
	return grant{who, name, credential}, nil
}

// throughSocket reports whether a request came through a Unix socket, which no
// browser and no other machine can open.
func throughSocket(r *http.Request) bool {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)
	return ok && at != nil
}

func local(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// noteKey is where the access log keeps the client's name.
type noteKey struct{}

func note(r *http.Request, client string) {
	if name, ok := r.Context().Value(noteKey{}).(*string); ok {
		*name = client
	}
}

// logged writes the access log. It shows the pattern and not the path or the
// query, into which a client may put anything.
func (a *api) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.Log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		began, client := time.Now(), ""
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, &client))
		answer := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		attrs := []any{"method", r.Method, "path", r.Pattern, "status", answer.status, "from", r.RemoteAddr, "took", time.Since(began).Round(time.Microsecond)}
		if name := r.PathValue("name"); a.Credentials[name] != nil {
			attrs = append(attrs, "token", name)
		}
		if client != "" {
			attrs = append(attrs, "client", client)
		}
		a.Log.Debug("request", attrs...)
	})
}

// recorder keeps the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
