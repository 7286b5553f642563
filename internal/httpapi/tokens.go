package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
)

// tokenAnswer is a token for an application. It tells until when the token can
// be kept by somebody who is told nothing of its successor, which at a provider
// where each mint ends the token before it is earlier than the token's own end.
type tokenAnswer struct {
	Name        string    `json:"name"`
	AccessToken string    `json:"access_token,omitempty"`
	ExpiresIn   int64     `json:"expires_in"` // whole seconds
	ExpiresAt   time.Time `json:"expires_at"` // on this machine's clock
	Generation  int64     `json:"generation"`
}

// reportAnswer is the token to use now, and what came of the report.
type reportAnswer struct {
	tokenAnswer
	Acted   bool                `json:"acted"`
	Verdict coordinator.Verdict `json:"verdict"`
}

// notRejection is the verdict on an errcode that says nothing of the token.
const notRejection coordinator.Verdict = "not a rejection"

func answer(name string, credential Credential, t coordinator.Token) tokenAnswer {
	end := credential.KeepUntil(t)
	return tokenAnswer{
		Name: name, AccessToken: t.Value, Generation: t.Generation,
		ExpiresIn: max(0, int64(time.Until(end)/time.Second)),
		ExpiresAt: end.UTC().Truncate(time.Second),
	}
}

func (a *api) token(w http.ResponseWriter, r *http.Request) *problem {
	g, problem := a.may(r, config.MayRead)
	if problem != nil {
		return problem
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.Wait)
	defer cancel()
	token, err := a.usable(ctx, g)
	if err != nil {
		return failed(err)
	}
	writeJSON(w, jsonType, http.StatusOK, answer(g.name, g.credential, token))
	return nil
}

// usable is the token that may be handed out: not one that the provider was
// seen to refuse.
func (a *api) usable(ctx context.Context, g grant) (coordinator.Token, error) {
	token, err := g.credential.Token(ctx)
	if err != nil {
		return coordinator.Token{}, err
	}
	return token, a.wechat.Rejected(g.name, token)
}

func (a *api) report(w http.ResponseWriter, r *http.Request) *problem {
	g, problem := a.may(r, config.MayReport)
	if problem != nil {
		return problem
	}
	var body struct {
		AccessToken string `json:"access_token"`
		Errcode     int    `json:"errcode"`
	}
	if problem := readJSON(r, &body); problem != nil {
		return problem
	}
	if body.AccessToken == "" {
		return badBody("access_token is missing: send the token that the provider rejected")
	}
	ctx, cancel := context.WithTimeout(g.who.asking(r.Context()), a.Wait)
	defer cancel()
	verdict := notRejection
	if body.Errcode == 0 || a.Rejection(body.Errcode) {
		var err error
		if verdict, err = g.credential.Reject(ctx, body.AccessToken, &coordinator.RejectedError{Code: body.Errcode}); err != nil {
			return failed(err)
		}
	}
	token, err := a.usable(ctx, g)
	if err != nil {
		return failed(err)
	}
	writeJSON(w, jsonType, http.StatusOK, reportAnswer{answer(g.name, g.credential, token), verdict == coordinator.Acted, verdict})
	return nil
}

// rotate answers without the token: an operator who may rotate it need not see
// it.
func (a *api) rotate(w http.ResponseWriter, r *http.Request) *problem {
	g, problem := a.may(r, config.MayOperate)
	if problem != nil {
		return problem
	}
	ctx, cancel := context.WithTimeout(g.who.asking(r.Context()), a.Wait)
	defer cancel()
	token, err := g.credential.Rotate(ctx)
	if err != nil {
		problem := failed(err)
		if errors.Is(err, coordinator.ErrBudget) {
			problem.Status = http.StatusTooManyRequests
		} else if problem.Title == "no usable token" {
			problem.Type, problem.Title = "urn:mintonce:problem:rotation", "the token was not rotated"
		}
		return problem
	}
	token.Value = ""
	writeJSON(w, jsonType, http.StatusOK, answer(g.name, g.credential, token))
	return nil
}

const jsonType = "application/json"

// readJSON reads one JSON object and nothing else. Its problems quote nothing
// of the body.
func readJSON(r *http.Request, into any) *problem {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != jsonType {
		return newProblem("media-type", http.StatusUnsupportedMediaType, "wrong content type", "send JSON, with the header Content-Type: application/json")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("something follows the object")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newProblem("too-large", http.StatusRequestEntityTooLarge, "the body is too large", "at most %d bytes are read", large.Limit)
	case err != nil:
		return badBody(`send one JSON object: {"access_token": "...", "errcode": 40001}`)
	}
	return nil
}
